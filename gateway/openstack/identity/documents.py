"""What identity's documents share: links, lists, changes."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack.call import Call, field, strings
from gateway.openstack.faults import Refusal

_LONGEST_NAME = 64


def linked(call: Call, kind: str, document: dict[str, Any]) -> dict[str, Any]:
    """A resource's document with its link, the same wherever it is shown."""
    return {**document, "links": {"self": call.url(f"/v3/{kind}/{document['id']}")}}


def listing(call: Call, name: str, documents: list[Any]) -> dict[str, Any]:
    """A list, always whole."""
    self = f"{call.root}{call.request.url.path}"
    if call.request.url.query:
        self += f"?{call.request.url.query}"
    return {name: documents, "links": {"self": self, "previous": None, "next": None}}


def short_name(body: Mapping[str, Any]) -> str:
    """The name of a new domain or project: Keystone's clients count on no more than 64 characters of it.

    Raises Refusal.
    """
    name = field(body, "name", str)
    if len(name) > _LONGEST_NAME:
        raise Refusal(400, f"name: has more than {_LONGEST_NAME} characters.")
    return name


def changes(body: Mapping[str, Any], message: Any, kinds: Mapping[str, type]) -> tuple[Any, FieldMask]:
    """The fields of a body laid into a message, and the mask that names them. Null empties a field."""
    named = [name for name in kinds if name in body]
    for name in named:
        value = field(body, name, kinds[name], kinds[name]())
        if isinstance(value, list):
            getattr(message, name).extend(strings(value))
        else:
            setattr(message, name, value)
    return message, FieldMask(paths=named)
