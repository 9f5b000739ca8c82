"""How a function looks at the database: at one state of it, from its first statement to its last."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from mesh.prepared import Prepared

Look = Callable[..., Any]  # of a connection, a function of it, and what else it is given: a tuple and a dict


def within(begin: str, end: str, put: Callable[..., None]) -> Look:
    """Looks from within a transaction that `put` begins."""
    last = Prepared(text(end))

    def look(connection: Connection, fn: Callable[..., Any], args: Any, kw: Any) -> Any:
        put(connection, begin)
        try:
            return fn(connection, *args, **kw)
        finally:
            if not connection.invalidated:
                try:
                    last.run(connection)
                except DBAPIError:  # of no use any more, whatever is wrong with it
                    connection.invalidate()

    return look


def at_once(otherwise: Look) -> Look:
    """Looks without a transaction at what a single statement finds, which is one state by itself.

    Nobody says how many statements a function makes: one that wants a second is begun anew by `otherwise`, as
    it is from then on. For connections of `mesh.postgres`.
    """
    several: set[object] = set()

    def look(connection: Connection, fn: Callable[..., Any], args: Any, kw: Any) -> Any:
        kind = _kind(fn)
        if kind in several:
            return otherwise(connection, fn, args, kw)
        driver: Any = connection.connection.driver_connection
        driver.allow(1)
        try:
            found = fn(connection, *args, **kw)
        except Exception:
            if not driver.refused:
                raise
        else:
            if not driver.refused:
                return found
        finally:
            driver.allow(None)
        several.add(kind)
        return otherwise(connection, fn, args, kw)

    return look


def _kind(fn: Callable[..., Any]) -> object:
    """What is the same for all functions that one definition makes."""
    while isinstance(fn, partial):
        fn = fn.func
    return getattr(fn, "__code__", type(fn))
