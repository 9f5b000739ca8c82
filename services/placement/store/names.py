"""Names of resource classes and traits: the standard ones, and those that somebody made."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh.caller import Caller
from mesh.errors import CloudError, not_found, wrong_status
from mesh.paging import page
from services.placement.tables import inventories, provider_traits, resource_classes, traits

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
CLASSES, TRAITS = resource_classes, traits
_STANDARD = Path(__file__).parents[1] / "standard.txt"
_USED_BY: dict[str, Column[str]] = {
    "resource_classes": inventories.c.resource_class,
    "traits": provider_traits.c.trait,
}
_KINDS = {"resource_classes": "resource_class", "traits": "trait"}


def bootstrap(connection: Connection) -> None:
    """Know every standard name."""
    words = [line.split() for line in _STANDARD.read_text().splitlines() if not line.startswith("#")]
    for table, word in ((resource_classes, "class"), (traits, "trait")):
        _insert(connection, table, [name for kind, name in words if kind == word], standard=True)


def make(connection: Connection, table: Table, names: Iterable[str]) -> None:
    """Know these names, unless they are known."""
    missing = [name for name in names if name not in known(connection, table, names)]
    _insert(connection, table, missing, standard=False)


def _insert(connection: Connection, table: Table, names: list[str], *, standard: bool) -> None:
    if names:
        insert = _INSERT[connection.dialect.name](table).on_conflict_do_nothing()
        connection.execute(insert, [{"name": name, "standard": standard} for name in sorted(names)])


def known(connection: Connection, table: Table, names: Iterable[str]) -> set[str]:
    """Which of the names are known."""
    return set(connection.scalars(select(table.c.name).where(table.c.name.in_(list(names)))))


def need(connection: Connection, table: Table, names: Iterable[str]) -> None:
    """Raises NOT_FOUND for the first name that is not known."""
    missing = sorted(set(names) - known(connection, table, names))
    if missing:
        raise not_found(_KINDS[table.name], missing[0])


def get(connection: Connection, table: Table, name: str) -> Row[Any]:
    """The row of a name. Raises NOT_FOUND."""
    row = connection.execute(select(table).where(table.c.name == name)).one_or_none()
    if row is None:
        raise not_found(_KINDS[table.name], name)
    return row


def listed(connection: Connection, table: Table, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of names."""
    query = select(table)
    if request.prefix:
        query = query.where(table.c.name.startswith(request.prefix, autoescape=True))
    return page(connection, query, [table.c.created_at, table.c.name], request, caller)


def remove(connection: Connection, table: Table, name: str) -> None:
    """Forget a name. Raises NOT_FOUND, WRONG_STATUS for a standard one, IN_USE."""
    row, kind, used = get(connection, table, name), _KINDS[table.name], _USED_BY[table.name]
    if row.standard:
        raise wrong_status(kind, name, "standard", ["custom"])
    holder = connection.scalar(select(used.table.c.provider_id).where(used == name).limit(1))
    if holder:
        raise in_use(kind, name, "provider", holder)
    connection.execute(delete(table).where(table.c.name == name))


def in_use(kind: str, id: str, by_kind: str, by_id: str) -> CloudError:
    """IN_USE."""
    message = f"The {kind} {id} is used by the {by_kind} {by_id}."
    return CloudError("IN_USE", message, resource_type=kind, id=id, used_by_type=by_kind, used_by_id=by_id)
