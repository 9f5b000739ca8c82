"""Rights that were handed on: application credentials, trusts, EC2 credentials."""

import re
import uuid
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, or_, select

from mesh import clock, locks
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from mesh.paging import page
from services.identity.store import revocations, rows
from services.identity.store.chains import Kind
from services.identity.tables import delegations, domains, roles, users

# What has ended can be looked at for so long, and is then deleted.
KEPT = timedelta(days=30)
# One user's of one kind: far beyond what anybody needs, and nobody fills the database.
MOST = 1000
_HEXADECIMAL = re.compile(r"[0-9a-f]{32}")


def get(connection: Connection, kind: Kind, id: str) -> Row[Any]:
    """The delegation of that kind. Raises NOT_FOUND."""
    row = rows.find(connection, delegations, id)
    if row is None or row.kind != kind:
        raise not_found(kind, id)
    return row


def for_login(
    connection: Connection, id: str, name: str, user_id: str, user_name: str, domain_name: str
) -> Row[Any] | None:
    """The application credential by its id, or by its name and its user's; None when there is none."""
    query = select(delegations).where(delegations.c.kind == Kind.APPLICATION_CREDENTIAL)
    if id:
        return connection.execute(query.where(delegations.c.id == id)).one_or_none()
    query = query.where(delegations.c.name == name)
    if user_id:
        return connection.execute(query.where(delegations.c.owner_id == user_id)).one_or_none()
    query = query.join(users, users.c.id == delegations.c.owner_id)
    query = query.join(domains, domains.c.id == users.c.domain_id)
    named = query.where(users.c.name == user_name, domains.c.name == domain_name)
    return connection.execute(named).one_or_none()


def of_owner(
    connection: Connection, kind: Kind, request: Any, caller: Caller, user_id: str
) -> tuple[list[Row[Any]], str]:
    """A page of those that the user handed on."""
    query = _of_kind(kind).where(delegations.c.owner_id == user_id)
    if getattr(request, "name", ""):
        query = query.where(delegations.c.name == request.name)
    return _page(connection, query, request, caller)


def trusts_of(
    connection: Connection, request: Any, caller: Caller, user_id: str
) -> tuple[list[Row[Any]], str]:
    """A page of the trusts that the user gave or was given; "" is everybody's."""
    query = _of_kind(Kind.TRUST)
    if user_id:
        query = query.where(or_(delegations.c.owner_id == user_id, delegations.c.trustee_id == user_id))
    if request.trustor_user_id:
        query = query.where(delegations.c.owner_id == request.trustor_user_id)
    if request.trustee_user_id:
        query = query.where(delegations.c.trustee_id == request.trustee_user_id)
    return _page(connection, query, request, caller)


def _of_kind(kind: Kind) -> Select[Any]:
    return select(delegations).where(delegations.c.kind == kind)


def _page(
    connection: Connection, query: Select[Any], request: Any, caller: Caller
) -> tuple[list[Row[Any]], str]:
    return page(connection, query, [delegations.c.created_at, delegations.c.id], request, caller)


def role_names(connection: Connection, found: list[Row[Any]]) -> dict[str, str]:
    """Names of all the roles that these delegations give, by id."""
    ids = {id for row in found for id in row.role_ids}
    query = select(roles.c.id, roles.c.name).where(roles.c.id.in_(ids))
    return {row.id: row.name for row in connection.execute(query)}


def role_ids(connection: Connection, names: frozenset[str], domain_id: str) -> list[str]:
    """Ids of the roles of these names, global or of the domain."""
    query = select(roles.c.id).where(roles.c.name.in_(names), roles.c.domain_id.in_(["", domain_id]))
    return sorted(connection.scalars(query))


def create(connection: Connection, kind: Kind, values: dict[str, Any]) -> Row[Any]:
    """A new delegation. Raises ALREADY_EXISTS, NOT_FOUND for a trustee who is not there, and QUOTA_EXCEEDED
    for one too many.
    """
    owner, trustee = values["owner_id"], values.get("trustee_id")
    if trustee and rows.hold(connection, users, trustee) is None:
        raise not_found("user", trustee)
    locks.hold(connection, f"identity delegations of {owner}")
    mine = (delegations.c.owner_id == owner, delegations.c.kind == kind)
    rows.require_room(connection, delegations, MOST, kind, *mine)
    return rows.add(connection, delegations, kind.replace("_", " "), {**values, "kind": kind})


def of_access_key(connection: Connection, key: str) -> Row[Any] | None:
    """The EC2 credential that signed requests name so; None when there is none."""
    chosen = connection.execute(select(delegations).where(delegations.c.access_key == key)).one_or_none()
    if chosen is not None or not _HEXADECIMAL.fullmatch(key):
        return chosen
    row = rows.find(connection, delegations, str(uuid.UUID(hex=key)))
    return row if row is not None and row.kind == Kind.EC2 and row.access_key is None else None


def take_access_key(connection: Connection, key: str, id: str) -> None:
    """Nobody else has this access key, nor can until the unit ends. Raises ALREADY_EXISTS."""
    locks.hold(connection, f"identity access key {key}")
    other = of_access_key(connection, key)
    if other is not None and other.id != id:
        raise rows.name_taken("EC2 credential", key)


def change_key(connection: Connection, id: str, expected_revision: int, key: str, sealed: str) -> None:
    """Another access key and secret; the tokens that the ones before have given are revoked."""
    rows.hold(connection, delegations, id, alone=True)
    take_access_key(connection, key, id)
    compare_and_swap(connection, delegations, id, expected_revision, {"access_key": key, "secret": sealed})
    revocations.add(connection, token_id=id)


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a delegation with all that was made by way of it, and revoke the tokens that rest on it."""
    rows.hold(connection, delegations, id, alone=True)
    compare_and_swap(connection, delegations, id, expected_revision, {})
    connection.execute(delete(delegations).where(delegations.c.id == id))
    revocations.add(connection, token_id=id)


def forget(connection: Connection) -> int:
    """Delete those that ended, or gave their last token, a while ago, with all that was made by way of them;
    how many there were. No token that came about by them can live so long.
    """
    before = clock.now() - KEPT
    used_up = (delegations.c.uses_left == 0) & (delegations.c.updated_at < before)
    gone = delete(delegations).where(or_(delegations.c.expires_at < before, used_up))
    return connection.execute(gone).rowcount
