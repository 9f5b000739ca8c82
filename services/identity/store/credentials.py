"""Credentials that programs keep with users: those of EC2 are delegations, all others rows of their own."""

from typing import Any

from sqlalchemy import Connection, Row, String, delete, literal, null, select, union_all

from mesh import locks
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from mesh.paging import page
from services.identity.store import rows
from services.identity.store.chains import Kind
from services.identity.tables import credentials, delegations, users

EC2 = "ec2"
# One user's, without those of EC2, which have the same bound.
MOST = 1000
_KEYS = select(
    delegations.c.id,
    literal(EC2, String).label("type"),
    delegations.c.owner_id.label("user_id"),
    delegations.c.project_id,
    delegations.c.secret,
    delegations.c.access_key,
    delegations.c.created_at,
    delegations.c.updated_at,
    delegations.c.revision,
).where(delegations.c.kind == Kind.EC2)
_OTHERS = select(
    credentials.c.id,
    credentials.c.type,
    credentials.c.user_id,
    credentials.c.project_id,
    credentials.c.secret,
    null().label("access_key"),
    credentials.c.created_at,
    credentials.c.updated_at,
    credentials.c.revision,
)
_ALL = union_all(_KEYS, _OTHERS).subquery("all_credentials")


def get(connection: Connection, id: str) -> Row[Any]:
    """The credential. Raises NOT_FOUND."""
    row = connection.execute(select(_ALL).where(_ALL.c.id == id)).one_or_none()
    if row is None:
        raise not_found("credential", id)
    return row


def listed(connection: Connection, request: Any, caller: Caller, user_id: str) -> tuple[list[Row[Any]], str]:
    """A page of the user's, "" is everybody's."""
    query = select(_ALL)
    if user_id:
        query = query.where(_ALL.c.user_id == user_id)
    if request.type:
        query = query.where(_ALL.c.type == request.type)
    return page(connection, query, [_ALL.c.created_at, _ALL.c.id], request, caller)


def hold_user(connection: Connection, id: str) -> Row[Any]:
    """The user, who stays until the unit ends. Raises NOT_FOUND."""
    row = rows.hold(connection, users, id)
    if row is None:
        raise not_found("user", id)
    return row


def create(connection: Connection, values: dict[str, Any]) -> None:
    """Keep one that is not of EC2. Raises QUOTA_EXCEEDED."""
    owner = values["user_id"]
    locks.hold(connection, f"identity credentials of {owner}")
    rows.require_room(connection, credentials, MOST, "credential", credentials.c.user_id == owner)
    connection.execute(credentials.insert().values(values))


def update(connection: Connection, id: str, expected_revision: int, sealed: str) -> None:
    """Another secret in the place of the one before."""
    compare_and_swap(connection, credentials, id, expected_revision, {"secret": sealed})


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Forget one that is not of EC2."""
    compare_and_swap(connection, credentials, id, expected_revision, {})
    connection.execute(delete(credentials).where(credentials.c.id == id))


def of_project(connection: Connection, id: str) -> list[Row[Any]]:
    """Those for a project that are not of EC2, as what it holds: kind, id and name."""
    what = (credentials.c.id, literal("credential", String).label("kind"), literal("", String).label("name"))
    query = select(*what).where(credentials.c.project_id == id)
    return list(connection.execute(query.order_by(credentials.c.created_at, credentials.c.id)))


def forget_of_project(connection: Connection, id: str) -> None:
    """Delete them."""
    connection.execute(delete(credentials).where(credentials.c.project_id == id))
