"""What the nouns share: read one row, hold it while deciding, insert under a unique name."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from mesh.caller import Caller
from mesh.errors import CloudError, not_found
from mesh.paging import page
from mesh.prepared import Prepared

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def find(connection: Connection, table: Table, id: str) -> Row[Any] | None:
    """The row of that id, or None."""
    return _by_id(table).one(connection, id=id)


@cache
def _by_id(table: Table) -> Prepared:
    """Made once, as a login asks for half a dozen rows, and to make it takes longer than to ask."""
    return Prepared(select(table).where(table.c.id == bindparam("id")))


@cache
def _held(table: Table, alone: bool) -> Prepared:
    return Prepared(select(table).where(table.c.id == bindparam("id")).with_for_update(read=not alone))


def get(connection: Connection, table: Table, id: str) -> Row[Any]:
    """The row of that id. Raises NOT_FOUND."""
    row = find(connection, table, id)
    if row is None:
        raise not_found(table.info.get("resource_type") or table.name.removesuffix("s"), id)
    return row


def listed(
    connection: Connection,
    table: Table,
    request: Any,
    caller: Caller,
    *names: str,
    within: Iterable[Any] = (),
) -> tuple[list[Row[Any]], str]:
    """A page of a table, oldest first, and the token of the next: rows that have what the request says of
    these columns, where it says anything, and of which all of `within` holds.
    """
    query = select(table).where(*within)
    for name in names:
        if said := getattr(request, name):
            query = query.where(table.c[name] == said)
    return page(connection, query, [table.c.created_at, table.c.id], request, caller)


def hold(connection: Connection, table: Table, id: str, *, alone: bool = False) -> Row[Any] | None:
    """The row of that id, which nobody changes until this unit ends; `alone`: nor holds as well.

    It orders a token against what would revoke it: SQLite has one writer anyway, PostgreSQL locks the row.
    """
    return _held(table, alone).one(connection, id=id)


def add(connection: Connection, table: Table, kind: str, values: dict[str, Any]) -> Row[Any]:
    """Insert a row and answer it. Raises ALREADY_EXISTS when its name is taken."""
    try:
        return connection.execute(insert(table).values(values).returning(table)).one()
    except IntegrityError as error:
        raise name_taken(kind, values["name"]) from error


def require_room(connection: Connection, table: Table, most: int, kind: str, *mine: Any) -> None:
    """Raises QUOTA_EXCEEDED where so many rows are `mine` already, all of them when no condition is given.

    The unit keeps others from adding one meanwhile: see mesh.locks.
    """
    count = connection.scalar(select(func.count()).select_from(table).where(*mine)) or 0
    if count >= most:
        noun = kind.replace("_", " ")
        message = f"There are {count} {noun}s already, and no more than {most} are kept: delete some."
        told = {"resource": f"{kind}s", "limit": most, "used": count, "requested": 1}
        raise CloudError("QUOTA_EXCEEDED", message, **told)


def there(connection: Connection, table: Table, key: dict[str, Any]) -> str:
    """The id of the row with this unique key, made unless there; nobody changes it until the unit ends."""
    put = _INSERT[connection.dialect.name](table).values(key).on_conflict_do_nothing()
    connection.execute(put)
    found = select(table.c.id).where(*(table.c[name] == value for name, value in key.items()))
    return str(connection.execute(found.with_for_update(read=True)).scalar_one())


def name_taken(kind: str, name: str) -> CloudError:
    """ALREADY_EXISTS."""
    message = f"There is a {kind} named {name} already: choose another name."
    return CloudError("ALREADY_EXISTS", message, resource_type=kind, name=name)
