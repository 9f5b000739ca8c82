"""Requests held against their contract by protovalidate, whose rules are compiled once per message type."""

from collections.abc import Callable
from functools import cache
from typing import Any

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from mesh.errors import CloudError, invalid

_validator = protovalidate.Validator()
# The first few faults say enough; a request may hold thousands.
_SHOWN = 20
_MAY_HOLD_TEXT = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE)


def checker(type_: type[Message]) -> Callable[[Message], None]:
    """A function that raises INVALID_ARGUMENT, naming every field at fault. Compiles the rules at once."""
    _validator.collect_violations(type_())
    return check


def check(request: Message) -> None:
    """Raises INVALID_ARGUMENT when the request breaks its contract."""
    violations = _validator.collect_violations(request)
    if violations:
        fields = {_path(v.proto): v.proto.message or v.proto.rule_id for v in violations[:_SHOWN]}
        text = "; ".join(f"{field}: {fault}" if field else fault for field, fault in fields.items())
        raise CloudError("INVALID_ARGUMENT", text, fields=fields)


def refuse_nul(message: Message, path: str = "") -> None:
    """Raises INVALID_ARGUMENT for text with the character NUL, which PostgreSQL cannot keep.

    Worth calling only for a message that has a zero byte on the wire.
    """
    for field, value in message.ListFields():
        if field.type not in _MAY_HOLD_TEXT:
            continue
        if field.message_type is not None and _is_map(field.message_type):
            parts = [part for pair in value.items() for part in pair]
        else:
            parts = value if field.is_repeated else [value]
        for part in parts:
            if isinstance(part, Message):
                refuse_nul(part, f"{path}{field.name}.")
            elif isinstance(part, str) and "\0" in part:
                raise invalid(path + field.name, "must not contain the character NUL")


@cache
def _is_map(entry: Descriptor) -> bool:
    return entry.GetOptions().map_entry


def _path(violation: Any) -> str:
    """Like `server.ports[0].network_id`."""
    path = ""
    for element in violation.field.elements if violation.field else ():
        path += ("." if path else "") + element.field_name
        which = element.subscript
        if which is not None:
            value = f'"{which.value}"' if which.field == "string_key" else which.value
            path += f"[{value}]"
    return path
