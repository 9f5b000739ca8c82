"""Changes to an image, as a list of steps in either of the forms that Glance reads."""

from dataclasses import dataclass
from typing import Any

from gateway.openstack.faults import Refusal
from gateway.openstack.image import documents
from weft.image.v1.resources_pb2 import Image

_OLD = "application/openstack-images-v2.0-json-patch"
_NEW = "application/openstack-images-v2.1-json-patch"
_OPERATIONS = ("add", "replace", "remove")


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one property."""

    operation: str
    name: str
    value: Any


def read(content_type: str, body: Any) -> list[Step]:
    """The steps of a body. Raises Refusal, 415 where the form is neither."""
    form = content_type.partition(";")[0].strip()
    if form not in (_OLD, _NEW):
        raise Refusal(415, f"Send the changes as {_NEW} or {_OLD}.")
    if not isinstance(body, list):
        raise Refusal(400, "The body must be a list of changes.")
    return [_step(each, form == _OLD) for each in body]


def apply(steps: list[Step], changed: Image) -> list[str]:
    """Lay the steps into `changed`, which has the properties as they are; answers the fields that change."""
    mask: dict[str, None] = {}
    for step in steps:
        if step.name in documents.FIELDS:
            mask[_field(step, changed)] = None
        elif step.name in documents.BASE:
            raise Refusal(403, f"Attribute '{step.name}' is read-only.")
        else:
            documents.check_changeable(step.name)
            _property(step, changed)
            mask["properties"] = None
    return list(mask)


def _field(step: Step, changed: Image) -> str:
    if step.operation == "remove":
        raise Refusal(403, f"Attribute '{step.name}' cannot be removed.")
    name = documents.FIELDS[step.name][0]
    value = documents.checked(step.name, step.value)
    if isinstance(value, list):
        del changed.tags[:]
        changed.tags.extend(dict.fromkeys(value))
    else:
        setattr(changed, name, value)
    return name


def _property(step: Step, changed: Image) -> None:
    if step.operation != "add" and step.name not in changed.properties:
        raise Refusal(409, f"Property {step.name} does not exist.")
    if step.operation == "remove":
        del changed.properties[step.name]
    else:
        changed.properties[step.name] = documents.text(step.name, step.value)


def _step(given: Any, old: bool) -> Step:
    if not isinstance(given, dict):
        raise Refusal(400, "Each change must be an object.")
    if old:
        named = [name for name in _OPERATIONS if name in given]
        operation, path = (named[0], given[named[0]]) if len(named) == 1 else ("", "")
    else:
        operation, path = given.get("op"), given.get("path")
    if operation not in _OPERATIONS:
        raise Refusal(400, f"Each change must be one of {', '.join(_OPERATIONS)}.")
    if operation != "remove" and "value" not in given:
        raise Refusal(400, f"To {operation} takes a value.")
    return Step(operation, _name(path), given.get("value"))


def _name(path: Any) -> str:
    """The one name in a JSON pointer: an image has no deeper fields."""
    if not isinstance(path, str) or not path.startswith("/") or len(path) == 1 or "/" in path[1:]:
        raise Refusal(400, f"{path!r} is not the path of a property.")
    return path[1:].replace("~1", "/").replace("~0", "~")
