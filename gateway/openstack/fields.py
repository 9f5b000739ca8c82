"""Bodies by table: what a field of a dialect is called in the contract, and of what type it must be."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call
from gateway.openstack.faults import Refusal


class Field(NamedTuple):
    """One field: its name in the contract, its type in JSON, and how its value is written there."""

    ours: str
    kind: type
    written: Callable[[Any], Any] | None = None


Fields = Mapping[str, Field]


def read(document: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Values by their names in the contract, of the fields that are there; null is the type's empty value.

    Raises Refusal for a value of another type.
    """
    found: dict[str, Any] = {}
    for theirs, (ours, kind, written) in fields.items():
        if theirs in document:
            value = call.field(document, theirs, kind, kind())
            found[ours] = written(value) if written else value
    return found


def changes(document: Mapping[str, Any], fields: Fields) -> tuple[dict[str, Any], FieldMask]:
    """What an update says, and the mask that names it. Raises Refusal, also for a field not of the table."""
    call.refuse_unknown(document, set(fields))
    found = read(document, fields)
    if not found:
        raise Refusal(400, "The body changes nothing.")
    return found, FieldMask(paths=list(found))
