"""Rows as values."""

from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Row, true

from mesh.errors import CloudError

V = TypeVar("V")


def value(cls: type[V], row: Row[Any], **more: Any) -> V:
    """The dataclass whose fields are columns of the row; `more` gives those that are not."""
    held = row._mapping
    return cls(**{name: held[name] for name in _names(cls) if name in held and name not in more}, **more)


@cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


def within(reach: str | None, column: Column[Any]) -> ColumnElement[bool]:
    """The condition for what a project reaches; None reaches all."""
    return true() if reach is None else column == reach


def in_use(resource_type: str, id: str, used_by_type: str, used_by_id: str) -> CloudError:
    """Something else still uses the resource."""
    return CloudError(
        "IN_USE",
        f"The {resource_type} {id} is in use by the {used_by_type} {used_by_id}.",
        resource_type=resource_type,
        id=id,
        used_by_type=used_by_type,
        used_by_id=used_by_id,
    )
