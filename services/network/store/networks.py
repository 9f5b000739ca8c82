"""Networks: rows of `networks`, each with a segment of its own."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Connection, Row, Table, bindparam, delete, or_, select, true

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError
from mesh.prepared import Prepared
from services.network import gaps, model
from services.network.gaps import Range
from services.network.model import Network
from services.network.store import events, quota, rows
from services.network.tables import networks, ports, subnets

_CHUNK = 100
_SUBNETS = select(subnets.c.network_id, subnets.c.id).order_by(subnets.c.created_at, subnets.c.id)
_SUBNETS = Prepared(_SUBNETS.where(subnets.c.network_id.in_(bindparam("ids", expanding=True))))


def visible(_: Table, reach: rows.Reach) -> ColumnElement[bool]:
    """Own networks, and those that are everybody's."""
    if reach is None:
        return true()
    return or_(networks.c.project_id == reach, networks.c.shared, networks.c.external)


def get(connection: Connection, id: str, reach: str | None, lock: rows.Lock = "") -> Network:
    """One network. NOT_FOUND when `reach` does not see it."""
    return _load(connection, [rows.get(connection, networks, id, reach, lock, visible)])[0]


def page(
    connection: Connection, request: Message, caller: Caller, wanted: Mapping[str, object]
) -> tuple[list[Network], str]:
    """A page of what the caller sees."""
    query = rows.filtered(select(networks).where(visible(networks, caller.reach)), networks, **wanted)
    found, token = rows.page(connection, query, networks, request, caller)
    return _load(connection, found), token


def create(
    connection: Connection, values: Mapping[str, Any], segments: Sequence[Range], limits: Mapping[str, int]
) -> Network:
    """A new network. QUOTA_EXCEEDED; ALREADY_EXISTS when its physical network carries another already;
    UNAVAILABLE when no segment is left.
    """
    quota.check(connection, values["project_id"], limits, "networks")
    if values["type"] == "VXLAN":
        row = _insert_with_segment(connection, values, segments)
    else:
        row = _insert_flat(connection, values)
    network = _load(connection, [row])[0]
    events.tell(connection, "CREATED", network)
    return network


def update(
    connection: Connection, network: Network, expected_revision: int, values: Mapping[str, Any]
) -> Network:
    """The network after the change. REVISION_MISMATCH."""
    row = compare_and_swap(connection, networks, network.id, expected_revision, dict(values))
    after = _load(connection, [row])[0]
    events.tell(connection, "UPDATED", after)
    return after


def change(
    connection: Connection, network: Network, expected_revision: int, values: Mapping[str, Any]
) -> Network:
    """Like `update`, for what its users ask. IN_USE where others use what is to be taken from them."""
    if network.shared and not values.get("shared", True):
        _refuse_used(connection, network, ports.c.project_id != network.project_id)
    if network.external and not values.get("external", True):
        _refuse_used(connection, network, ports.c.device_owner.in_((model.ROUTER_GATEWAY, model.FLOATING_IP)))
    return update(connection, network, expected_revision, values)


def delete_network(connection: Connection, network: Network, expected_revision: int) -> None:
    """With its subnets; read it locked first. IN_USE while it has ports beside those of DHCP."""
    compare_and_swap(connection, networks, network.id, expected_revision, {})
    _refuse_used(connection, network, ports.c.device_owner != model.DHCP)
    connection.execute(delete(ports).where(ports.c.network_id == network.id))
    connection.execute(delete(subnets).where(subnets.c.network_id == network.id))
    connection.execute(delete(networks).where(networks.c.id == network.id))
    events.tell(connection, "DELETED", network)


def _refuse_used(connection: Connection, network: Network, use: ColumnElement[bool]) -> None:
    user = connection.scalar(select(ports.c.id).where(ports.c.network_id == network.id, use).limit(1))
    if user is not None:
        message = f"The network {network.id} is used by the port {user}."
        raise CloudError(
            "IN_USE", message, resource_type="network", id=network.id, used_by_type="port", used_by_id=user
        )


def _insert_with_segment(
    connection: Connection, values: Mapping[str, Any], segments: Sequence[Range]
) -> Row[Any]:
    taken = partial(_taken, connection)
    while True:
        segment = gaps.first_free(segments, gaps.somewhere(segments), taken)
        if segment is None:
            raise CloudError("UNAVAILABLE", "Every VXLAN identifier is taken.", service="network")
        row = _insert(connection, {**values, "segmentation_id": segment})
        if row is not None:
            return row


def _insert_flat(connection: Connection, values: Mapping[str, Any]) -> Row[Any]:
    row = _insert(connection, values)
    if row is None:
        name = values["physical_network"]
        message = f"The physical network {name} carries another network already."
        raise CloudError("ALREADY_EXISTS", message, resource_type="network", name=name)
    return row


def _insert(connection: Connection, values: Mapping[str, Any]) -> Row[Any] | None:
    if not rows.insert_unless_taken(connection, networks, dict(values)):
        return None
    return connection.execute(select(networks).where(networks.c.id == values["id"])).one()


def _taken(connection: Connection, low: int, high: int) -> Iterator[int]:
    """Read as far as the search goes."""
    column = networks.c.segmentation_id
    while low <= high:
        query = select(column).where(column.between(low, high)).order_by(column).limit(_CHUNK)
        chunk = connection.scalars(query).all()
        yield from chunk
        if len(chunk) < _CHUNK:
            return
        low = chunk[-1] + 1


def _load(connection: Connection, found: Sequence[Row[Any]]) -> list[Network]:
    have: dict[str, list[str]] = {}
    for network_id, subnet_id in _SUBNETS.all(connection, ids=[row.id for row in found]):
        have.setdefault(network_id, []).append(subnet_id)
    return [Network(**row._mapping, subnet_ids=tuple(have.get(row.id, ()))) for row in found]
