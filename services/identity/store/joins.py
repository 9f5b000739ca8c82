"""Join tokens, and by them the rights of hosts to their certificates."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select, update

from mesh import clock
from mesh.caller import Caller
from mesh.errors import CloudError
from services.identity.store import revocations, rows
from services.identity.tables import join_tokens as table

# How long a token that was never used is still listed after its end.
KEPT = timedelta(days=30)


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new token."""
    return connection.execute(table.insert().values(values).returning(table)).one()


def get(connection: Connection, id: str) -> Row[Any]:
    """The token. Raises NOT_FOUND."""
    return rows.get(connection, table, id)


def listed(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of tokens."""
    return rows.listed(connection, table, request, caller, "host_id")


def use(connection: Connection, host_id: str, secret: str, key: str) -> Row[Any] | None:
    """The token with this secret (a digest), now the key's own; None when the host has none with it. Other
    joins of the host end. Raises JOIN_REFUSED.
    """
    row = _one(connection, _of(host_id).where(table.c.secret_digest == secret))
    if row is None:
        return None
    if row.revoked_at is not None:
        raise refused(host_id, "revoked")
    if row.used_at is not None:
        if row.key_digest != key:
            raise refused(host_id, "used")
        return row
    if row.expires_at <= clock.now():
        raise refused(host_id, "expired")
    for other in connection.execute(_of(host_id).where(table.c.used_at.is_not(None))):
        revoke(connection, other.id)
    return _change(connection, row.id, used_at=clock.now(), key_digest=key)


def held_by(connection: Connection, host_id: str, key: str) -> Row[Any] | None:
    """The join by which the host has a certificate for this key, None when it has no such right."""
    query = _of(host_id).where(table.c.key_digest == key, table.c.revoked_at.is_(None))
    return connection.execute(query).first()


def revoke(connection: Connection, id: str) -> Row[Any]:
    """End a token, and the certificates that rest on it. Raises NOT_FOUND."""
    row = _one(connection, select(table).where(table.c.id == id)) or get(connection, id)
    if row.revoked_at is not None:
        return row
    if row.used_at is not None:
        revocations.add(connection, token_id=id)
    return _change(connection, id, revoked_at=clock.now())


def revoked(connection: Connection, id: str) -> bool:
    """Whether the join does not hold any more."""
    row = rows.find(connection, table, id)
    return row is None or row.revoked_at is not None


def forget(connection: Connection) -> int:
    """Delete tokens that nobody ever used, a while after they could be; how many there were."""
    unused = table.c.used_at.is_(None) & (table.c.expires_at < clock.now() - KEPT)
    return connection.execute(delete(table).where(unused)).rowcount


def status(row: Any) -> str:
    """The contract's word for where a token is in its life."""
    if row.revoked_at is not None:
        return "REVOKED"
    if row.used_at is not None:
        return "USED"
    return "EXPIRED" if row.expires_at <= clock.now() else "PENDING"


def refused(host_id: str, cause: str) -> CloudError:
    """JOIN_REFUSED."""
    message = f"The join token of host {host_id} is {cause}: make a new one."
    return CloudError("JOIN_REFUSED", message, cause=cause)


def _of(host_id: str) -> Select[Any]:
    return select(table).where(table.c.host_id == host_id)


def _one(connection: Connection, query: Select[Any]) -> Row[Any] | None:
    """The row, which nobody changes until this unit ends."""
    return connection.execute(query.with_for_update()).first()


def _change(connection: Connection, id: str, **values: Any) -> Row[Any]:
    return connection.execute(update(table).where(table.c.id == id).values(values).returning(table)).one()
