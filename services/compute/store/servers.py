"""Servers. Every change of one appends its event in the same unit of work."""

from collections.abc import Collection
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy import update as sql_update

from mesh import clock, outbox
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from mesh.journal import ACTIVE
from mesh.kept import Kept
from mesh.prepared import Prepared
from services.compute import messages
from services.compute.store import passwords
from services.compute.tables import operations, server_places, servers, user_data
from weft.compute.v1.server_service_pb2 import ListServersRequest, ServerSortKey

RESOURCE_TYPE = "server"
_EQUAL = ("flavor_id", "image_id", "host_id", "project_id", "key_name", "user_id", "availability_zone")
_SORTED_BY = {
    ServerSortKey.SERVER_SORT_KEY_UPDATED_AT: "updated_at",
    ServerSortKey.SERVER_SORT_KEY_NAME: "name",
    ServerSortKey.SERVER_SORT_KEY_STATUS: "status",
}


_THIS = servers.c.id == bindparam("id")
_FIND, _LOCK = (
    Prepared(select(servers).where(_THIS)),
    Prepared(select(servers).where(_THIS).with_for_update()),
)
_DELETE = Prepared(delete(servers).where(_THIS))
_USER_DATA = Prepared(select(user_data.c.content).where(user_data.c.server_id == bindparam("id")))
_DROP_USER_DATA = Prepared(delete(user_data).where(user_data.c.server_id == bindparam("id")))
_PORTS = Prepared(
    select(servers.c.id, servers.c.ports).where(servers.c.id.in_(bindparam("ids", expanding=True)))
)
_NEIGHBOURS = Prepared(
    select(servers.c.host_id, func.count().label("servers"))
    .where(
        servers.c.project_id == bindparam("project_id"),
        servers.c.host_id.in_(bindparam("host_ids", expanding=True)),
    )
    .group_by(servers.c.host_id)
)


@cache
def _create(names: tuple[str, ...]) -> Prepared:
    return Prepared(insert(servers).returning(servers), *names)


@cache
def _note(names: tuple[str, ...]) -> Prepared:
    change = sql_update(servers).where(servers.c.id == bindparam("held_id"))
    return Prepared(change.values({name: bindparam(name, type_=servers.c[name].type) for name in names}))


def get(connection: Connection, id: str, reach: str | None, *, lock: bool = False) -> Row[Any]:
    """The server; with `lock` nobody else changes it before this unit ends. Raises NOT_FOUND."""
    row = find(connection, id, lock=lock)
    if row is None or reach not in (None, row.project_id):
        raise not_found("server", id)
    return row


def find(connection: Connection, id: str, *, lock: bool = False) -> Row[Any] | None:
    """The server, None when there is none."""
    return (_LOCK if lock else _FIND).one(connection, id=id)


def on_host(connection: Connection, host_id: str, *, lock: bool = False) -> list[Row[Any]]:
    """The servers whose guests are on this host."""
    query = select(servers).where(servers.c.host_id == host_id).order_by(servers.c.id)
    return list(connection.execute(query.with_for_update() if lock else query))


def hosts_of(connection: Connection, ids: Collection[str]) -> frozenset[str]:
    """Ids of the hosts that these servers are on."""
    there = (servers.c.id.in_(ids), servers.c.host_id.is_not(None))
    return frozenset(connection.scalars(select(servers.c.host_id).where(*there)))


def ports_of(connection: Connection, ids: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """The ports of these servers, as far as they are there."""
    return {row.id: row.ports for row in _PORTS.all(connection, ids=ids)}


def neighbours(connection: Connection, project_id: str, host_ids: Collection[str]) -> dict[str, int]:
    """How many servers of the project each of these hosts has, where it has any."""
    return dict(_NEIGHBOURS.all(connection, project_id=project_id, host_ids=host_ids))


def among(connection: Connection, ids: list[str]) -> set[str]:
    """Which of these are servers."""
    return set(connection.scalars(select(servers.c.id).where(servers.c.id.in_(ids))))


def holders(connection: Connection, ids: list[str]) -> set[str]:
    """Which of these are servers that may hold something elsewhere: they are on a host, or something is under
    way on them. One whose boot failed holds nothing.
    """
    somewhere = or_(servers.c.host_id.is_not(None), servers.c.operation_id.is_not(None))
    return set(connection.scalars(select(servers.c.id).where(servers.c.id.in_(ids), somewhere)))


def claimants(connection: Connection, ids: list[str]) -> set[str]:
    """Which of these consumers are servers that may hold something, or hold it for a resize of one."""
    spare = select(servers.c.spare_claim_id).where(servers.c.spare_claim_id.in_(ids))
    return holders(connection, ids) | set(connection.scalars(spare))


def create(connection: Connection, values: dict[str, Any], content: bytes) -> Row[Any]:
    """Keep a new server and its user data."""
    values = _indexed(values)
    row = _create(tuple(values)).one(connection, **values)
    assert row is not None
    if content:
        connection.execute(insert(user_data).values(server_id=row.id, content=content))
    _tell(connection, "CREATED", row)
    return row


def change(connection: Connection, id: str, values: dict[str, Any], expected: int | None = None) -> Row[Any]:
    """Raises NOT_FOUND, REVISION_MISMATCH."""
    row = compare_and_swap(connection, servers, id, expected, _indexed(values))
    _tell(connection, "UPDATED", row)
    return row


def remove(connection: Connection, id: str) -> None:
    """Forget a server, if it is there."""
    row = find(connection, id, lock=True)
    if row is None:
        return
    _DROP_USER_DATA.run(connection, id=id)
    passwords.forget(connection, id)
    if row.server_group_id:
        connection.execute(delete(server_places).where(server_places.c.server_id == id))
    _DELETE.run(connection, id=id)
    _tell(connection, "DELETED", row)


def user_data_of(connection: Connection, id: str) -> bytes:
    """What the caller gave for the guest; empty when nothing."""
    return _USER_DATA.scalar(connection, id=id) or b""


def keep_user_data(connection: Connection, id: str, content: bytes) -> None:
    """Keep user data of a server, or of an operation that is to give it to one; empty is none."""
    _DROP_USER_DATA.run(connection, id=id)
    if content:
        connection.execute(insert(user_data).values(server_id=id, content=content))


def note_guest(connection: Connection, id: str, values: dict[str, Any]) -> None:
    """Keep what the host said of the guest: nobody is told, for nothing that a caller sees has changed."""
    _note(tuple(values)).run(connection, held_id=id, **values)


def with_metadata_due(connection: Connection) -> list[Row[Any]]:
    """The servers whose guests have yet to be told of changed metadata."""
    due = (servers.c.metadata_due, servers.c.host_id.is_not(None), servers.c.operation_id.is_(None))
    return list(connection.execute(select(servers).where(*due).limit(500)))


def metadata_told(connection: Connection, id: str, revision: int) -> None:
    """The guest was told what stood there at this revision."""
    same = (servers.c.id == id, servers.c.revision == revision)
    connection.execute(sql_update(servers).where(*same).values(metadata_due=False))


def stranded(connection: Connection) -> list[Row[Any]]:
    """Servers that are in transition, or point to an operation, without one that is live."""
    pending = or_(servers.c.operation_id.is_not(None), servers.c.status.like("%ING"))
    ended = or_(operations.c.id.is_(None), operations.c.state.not_in(ACTIVE))
    joined = servers.outerjoin(operations, operations.c.id == servers.c.operation_id)
    return list(connection.execute(select(servers).select_from(joined).where(pending, ended)))


def waiting_for_confirmation(connection: Connection) -> list[str]:
    """Ids of the servers whose resize nobody has decided on."""
    return list(connection.scalars(select(servers.c.id).where(servers.c.status == "VERIFY_RESIZE")))


def is_live(connection: Connection, operation_id: str) -> bool:
    """Whether an operation is under way."""
    state = connection.scalar(select(operations.c.state).where(operations.c.id == operation_id))
    return state in ACTIVE


def operations_on(connection: Connection, id: str) -> list[str]:
    """Ids of the operations that there were on a server, which may be gone by now."""
    return list(connection.scalars(select(operations.c.id).where(operations.c.target_id == id)))


def kept() -> Kept:
    """For `list_`."""
    return Kept(servers, lambda _, rows: map(messages.server, rows))


def list_(
    connection: Connection, known: Kept, request: ListServersRequest, statuses: list[str], caller: Caller
) -> tuple[list[bytes], str]:
    """A page of servers as messages, oldest first unless asked otherwise."""
    query = _filtered(select(servers), request, statuses)
    if caller.reach is not None:
        query = query.where(servers.c.project_id == caller.reach)
    order = [servers.c[_SORTED_BY.get(request.sort_key, "created_at")], servers.c.id]
    if request.descending:
        order = [column.desc() for column in order]
    return known.page(connection, query, order, request, caller)


def _indexed(values: dict[str, Any]) -> dict[str, Any]:
    """With the addresses of its ports where they can be looked for."""
    if "ports" not in values:
        return values
    found = [ip for port in values["ports"] for ip in port["fixed_ips"]]
    return values | {"addresses": f" {' '.join(found)} " if found else ""}


def _filtered(query: Select[Any], request: ListServersRequest, statuses: list[str]) -> Select[Any]:
    for field in _EQUAL:
        if value := getattr(request, field):
            query = query.where(servers.c[field] == value)
    if prefix := request.name_prefix:
        query = query.where(func.substr(servers.c.name, 1, len(prefix)) == prefix)
    if statuses:
        query = query.where(servers.c.status.in_(statuses))
    for tag in request.tags:
        query = query.where(_has_tag(tag))
    if request.any_tags:
        query = query.where(or_(*map(_has_tag, request.any_tags)))
    if request.HasField("changed_since"):
        query = query.where(servers.c.updated_at >= clock.from_proto(request.changed_since))
    if request.HasField("changed_before"):
        query = query.where(servers.c.updated_at <= clock.from_proto(request.changed_before))
    return _with_text(query, request)


def _with_text(query: Select[Any], request: ListServersRequest) -> Select[Any]:
    """LIKE is blind to case on one of the databases: replace is not, and takes linear time on both."""
    if text := request.name_contains:
        query = query.where(func.replace(servers.c.name, text, "") != servers.c.name)
    if prefix := request.address_prefix.lower():
        query = query.where(func.replace(servers.c.addresses, f" {prefix}", "") != servers.c.addresses)
    return query


def _has_tag(tag: str) -> ColumnElement[bool]:
    return cast(servers.c.tags, Text).contains(orjson.dumps(tag).decode(), autoescape=True)


def _tell(connection: Connection, type: Any, row: Row[Any]) -> None:
    outbox.append(connection, type, RESOURCE_TYPE, row.id, row.project_id, messages.server(row))
