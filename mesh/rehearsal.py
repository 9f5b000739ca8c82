"""Rehearsals (validate_only): a unit of work run to its end with every check, and then undone."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from mesh.database import Database

P = ParamSpec("P")
T = TypeVar("T")


class _Rehearsed(Exception):
    """Carries the outcome out of a unit that is to be undone."""

    def __init__(self, outcome: Any) -> None:
        super().__init__("rehearsed")
        self.outcome = outcome


async def write(
    database: Database,
    validate_only: bool,
    fn: Callable[Concatenate[Connection, P], T],
    *args: P.args,
    **kw: P.kwargs,
) -> T:
    """Like `database.write(fn, ...)`; with `validate_only` the answer is what would be, and nothing stays."""
    if not validate_only:
        return await database.write(fn, *args, **kw)
    try:
        return await database.write(_rehearse, fn, args, kw)
    except _Rehearsed as end:
        return end.outcome


def _rehearse(connection: Connection, fn: Callable[..., T], args: tuple[Any, ...], kw: dict[str, Any]) -> T:
    raise _Rehearsed(fn(connection, *args, **kw))
