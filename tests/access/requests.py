"""Requests that are valid by their contract, made from its rules, and name nothing that is there."""

import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2
from mesh import ids

_TEXTS = ("", "x", "123456", "CUSTOM_X")


def valid(kind: type[Any]) -> Any:
    """A request of that type with no more than it needs, and the first choice wherever there is one."""
    message, chosen = kind(), set()
    for field in kind.DESCRIPTOR.fields:
        rules = field.GetOptions().Extensions[validate_pb2.field]
        choice = field.containing_oneof
        if choice is not None and choice.name not in chosen:
            chosen.add(choice.name)
        elif choice is not None or rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
            continue
        _fill(message, field, rules, needed=rules.required or choice is not None)
    return message


def _fill(message: Any, field: FieldDescriptor, rules: validate_pb2.FieldRules, *, needed: bool) -> None:
    if field.is_repeated:
        if rules.repeated.min_items:
            getattr(message, field.name).append(_value(field, rules.repeated.items))
    elif field.message_type is None:
        setattr(message, field.name, _value(field, rules))
    elif needed:
        getattr(message, field.name).CopyFrom(_value(field, rules))


def _value(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Any:
    if field.message_type is not None:
        return valid(field.message_type._concrete_class)
    if field.type == field.TYPE_STRING:
        return _text(rules.string)
    if field.enum_type is not None:
        return 1
    numbers = {field.TYPE_INT32: rules.int32, field.TYPE_INT64: rules.int64}.get(field.type)
    return field.default_value if numbers is None else max(numbers.gte, numbers.gt + numbers.HasField("gt"))


def _text(rules: validate_pb2.StringRules) -> str:
    if rules.uuid:
        return ids.new()
    if rules.uri:
        return "http://example.invalid/x"
    if rules.ip_prefix:
        return "10.0.0.0/24"
    texts = [*getattr(rules, "in"), *_TEXTS]
    return next(
        text for text in texts if len(text) >= rules.min_len and (re.fullmatch(rules.pattern or ".*", text))
    )
