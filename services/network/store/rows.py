"""What every table of resources is asked: one row that the caller may reach, pages, inserts that may meet."""

from functools import cache
from typing import Any, Literal

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, select, true
from sqlalchemy.dialects import postgresql, sqlite

from mesh import paging
from mesh.caller import Caller
from mesh.errors import not_found

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# "update": nobody else changes the row, nor makes things that belong to it, until we commit. "share": nobody
# deletes it. SQLite has one writer, and needs neither.
Lock = Literal["", "update", "share"]


def within(table: Table, reach: str | None) -> ColumnElement[bool]:
    """The rows of the project that `reach` names; None is every project's."""
    return true() if reach is None else table.c.project_id == reach


def kind(table: Table) -> str:
    """What errors call a row of the table."""
    return table.info.get("resource_type") or table.name.removesuffix("s")


def get(
    connection: Connection, table: Table, id: str, allowed: ColumnElement[bool], lock: Lock = ""
) -> Row[Any]:
    """One row. NOT_FOUND alike when there is none and when `allowed` does not hold for it."""
    query = select(table).where(table.c.id == id, allowed)
    if lock:
        query = query.with_for_update(read=lock == "share", key_share=lock == "share")
    row = connection.execute(query).one_or_none()
    if row is None:
        raise not_found(kind(table), id)
    return row


def insert_unless_taken(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with the same key is there, also one that another is just committing."""
    # By what it returns: psycopg does not tell how many rows an INSERT made.
    statement = _insert(connection.dialect.name, table)
    return connection.execute(statement, values).one_or_none() is not None


@cache
def _insert(dialect: str, table: Table) -> Any:
    return _INSERT[dialect](table).on_conflict_do_nothing().returning(next(iter(table.primary_key)))


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
    return paging.page(connection, query, [table.c.created_at, table.c.id], request, caller)
