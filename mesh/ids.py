"""Ids: random for new things, derived for things that a retry must find again."""

import uuid


def new() -> str:
    """A fresh random id (UUID version 4)."""
    return str(uuid.uuid4())


def derived(operation_id: str, name: str) -> str:
    """The id of the thing `name` made by an operation: the same each time, so doing twice is doing once."""
    return str(uuid.uuid5(uuid.UUID(operation_id), name))
