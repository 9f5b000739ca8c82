"""Field masks: which fields of a resource an Update changes, and to what."""

from collections.abc import Callable, Iterable, Mapping
from types import EllipsisType
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from mesh.errors import CloudError

Converter = Callable[[Any], object] | EllipsisType | None


def apply(
    mask: FieldMask, resource: Message, allowed: Mapping[str, Converter] | Iterable[str]
) -> dict[str, Any]:
    """The new values by path, for the paths in `mask`.

    An empty mask means every allowed field that is populated, `*` every allowed field. `allowed` maps each
    path to a function applied to its value, or to `...` for the value as it is (lists and maps come out as
    list and dict; an unset field with presence comes out as None). Raises INVALID_ARGUMENT naming every path
    that is unknown or may not be changed.
    """
    converters = dict(allowed) if isinstance(allowed, Mapping) else dict.fromkeys(allowed)
    paths = _paths(mask, resource, converters)
    unknown = [path for path in paths if path not in converters]
    if unknown:
        text = f"cannot be changed; what can is {', '.join(converters)}"
        raise CloudError(
            "INVALID_ARGUMENT",
            f"update_mask: {', '.join(unknown)} {text}.",
            fields=dict.fromkeys((f"update_mask.{path}" for path in unknown), text),
        )
    return {path: _converted(_read(resource, path), converters[path]) for path in paths}


def _paths(mask: FieldMask, resource: Message, allowed: Mapping[str, Converter]) -> list[str]:
    if list(mask.paths) == ["*"]:
        return list(allowed)
    return list(dict.fromkeys(mask.paths)) or [path for path in allowed if _populated(resource, path)]


def _converted(value: Any, converter: Converter) -> Any:
    return converter(value) if callable(converter) else value


def _owner(resource: Message, path: str) -> tuple[Message, Any]:
    """The message that holds the last part of the path, and that field's descriptor."""
    *parents, name = path.split(".")
    for parent in parents:
        resource = getattr(resource, parent)
    return resource, resource.DESCRIPTOR.fields_by_name[name]


def _populated(resource: Message, path: str) -> bool:
    owner, field = _owner(resource, path)
    if field.has_presence:
        return owner.HasField(field.name)
    value = getattr(owner, field.name)
    return bool(len(value)) if field.is_repeated else value != field.default_value


def _read(resource: Message, path: str) -> Any:
    owner, field = _owner(resource, path)
    value = getattr(owner, field.name)
    if field.is_repeated:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        return dict(value) if is_map else list(value)
    return value if not field.has_presence or owner.HasField(field.name) else None
