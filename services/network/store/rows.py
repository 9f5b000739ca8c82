"""What every table of resources is asked: one row that the caller may reach, pages, inserts that may meet."""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from google.protobuf.message import Message
from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select, Table, bindparam, select, true
from sqlalchemy.dialects import postgresql, sqlite

from mesh import paging
from mesh.caller import Caller
from mesh.errors import not_found
from mesh.prepared import Prepared

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# "update": nobody else changes the row, nor makes things that belong to it, until we commit. "share": nobody
# deletes it. SQLite has one writer, and needs neither.
Lock = Literal["", "update", "share"]
# A project, or what stands for one in a statement; None is every project's.
Reach = str | BindParameter[str] | None
# Which rows of a table a project sees.
Seen = Callable[[Table, Reach], ColumnElement[bool]]


def within(table: Table, reach: Reach) -> ColumnElement[bool]:
    """The rows of the project that `reach` names; None is every project's."""
    return true() if reach is None else table.c.project_id == reach


def kind(table: Table) -> str:
    """What errors call a row of the table."""
    return table.info.get("resource_type") or table.name.removesuffix("s")


def get(
    connection: Connection, table: Table, id: str, reach: str | None, lock: Lock = "", seen: Seen = within
) -> Row[Any]:
    """One row. NOT_FOUND alike when there is none and when `reach` does not see it."""
    row = _get(table, seen, reach is None, lock).one(connection, id=id, reach=reach)
    if row is None:
        raise not_found(kind(table), id)
    return row


@cache
def _get(table: Table, seen: Seen, everything: bool, lock: Lock) -> Prepared:
    allowed = seen(table, None if everything else bindparam("reach"))
    query = select(table).where(table.c.id == bindparam("id"), allowed)
    if lock:
        query = query.with_for_update(read=lock == "share", key_share=lock == "share")
    return Prepared(query)


def insert_unless_taken(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with the same key is there, also one that another is just committing."""
    # By what it returns: psycopg does not tell how many rows an INSERT made.
    statement = _insert(connection.dialect.name, table, tuple(values))
    return statement.one(connection, **values) is not None


@cache
def _insert(dialect: str, table: Table, names: tuple[str, ...]) -> Prepared:
    unless_taken = _INSERT[dialect](table).on_conflict_do_nothing()
    return Prepared(unless_taken.returning(next(iter(table.primary_key))), *names)


def filtered(query: Select[Any], table: Table, **wanted: object) -> Select[Any]:
    """Only rows whose columns equal those values that are set."""
    for name, value in wanted.items():
        if value:
            query = query.where(table.c[name] == value)
    return query


def page(
    connection: Connection, query: Select[Any], table: Table, request: Message, caller: Caller
) -> tuple[list[Row[Any]], str]:
    """One page, oldest first, and the token of the next."""
    return paging.page(connection, query, by_age(table), request, caller)


def by_age(table: Table) -> list[ColumnElement[Any]]:
    """Oldest first."""
    return [table.c.created_at, table.c.id]
