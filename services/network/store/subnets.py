"""Subnets: rows of `subnets`, and the port that holds the address of each one's DHCP server."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Connection, Row, Table, bindparam, delete, insert, or_, select, true

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError
from mesh.prepared import Prepared
from services.network import model
from services.network.addresses import check_overlap
from services.network.model import Network, Subnet
from services.network.store import addresses, events, networks, port_rows, quota, rows
from services.network.tables import fixed_ips, ports, subnets
from services.network.tables import networks as network_table

_OF_NETWORK = select(subnets).where(subnets.c.network_id == bindparam("network_id"))
_OF_NETWORK = Prepared(_OF_NETWORK.order_by(subnets.c.created_at, subnets.c.id))


def visible(_: Table, reach: rows.Reach) -> ColumnElement[bool]:
    """Own subnets, and those of networks that are everybody's."""
    if reach is None:
        return true()
    open_to_all = select(network_table.c.id).where(or_(network_table.c.shared, network_table.c.external))
    return or_(subnets.c.project_id == reach, subnets.c.network_id.in_(open_to_all))


def get(connection: Connection, id: str, reach: str | None, lock: rows.Lock = "") -> Subnet:
    """One subnet. NOT_FOUND when `reach` does not see it.

    Locked with "update", its network is too: ports and subnets of it are made and deleted one after another.
    """
    if lock:
        row = rows.get(connection, subnets, id, reach, seen=visible)
        networks.get(connection, row.network_id, reach, lock)
    return Subnet(**rows.get(connection, subnets, id, reach, seen=visible)._mapping)


def of_network(connection: Connection, network_id: str) -> list[Subnet]:
    """All subnets of a network, oldest first."""
    return [Subnet(**row._mapping) for row in _OF_NETWORK.all(connection, network_id=network_id)]


def page(
    connection: Connection, request: Message, caller: Caller, wanted: Mapping[str, object]
) -> tuple[list[Subnet], str]:
    """A page of what the caller sees."""
    query = rows.filtered(select(subnets).where(visible(subnets, caller.reach)), subnets, **wanted)
    found, token = rows.page(connection, query, subnets, request, caller)
    return [Subnet(**row._mapping) for row in found], token


def create(
    connection: Connection, network: Network, values: Mapping[str, Any], limits: Mapping[str, int]
) -> Subnet:
    """A new subnet of a network that was read locked. QUOTA_EXCEEDED, CIDR_OVERLAP, ADDRESSES_EXHAUSTED."""
    quota.check(connection, values["project_id"], limits, "subnets")
    check_overlap(values["cidr"], [(other.id, other.cidr) for other in of_network(connection, network.id)])
    row = connection.execute(insert(subnets).values(**values).returning(subnets)).one()
    subnet = Subnet(**row._mapping)
    _fit_dhcp(connection, network, subnet)
    events.tell(connection, "CREATED", subnet)
    _tell_network(connection, network)
    return subnet


def update(
    connection: Connection,
    network: Network,
    subnet: Subnet,
    expected_revision: int,
    values: Mapping[str, Any],
) -> Subnet:
    """The subnet after the change. REVISION_MISMATCH; IN_USE where a router has the gateway's address."""
    if "gateway_ip" in values:
        _check_gateway_free(connection, subnet)
    row = compare_and_swap(connection, subnets, subnet.id, expected_revision, dict(values))
    after = Subnet(**row._mapping)
    _fit_dhcp(connection, network, after)
    events.tell(connection, "UPDATED", after)
    return after


def delete_subnet(connection: Connection, network: Network, subnet: Subnet, expected_revision: int) -> None:
    """IN_USE while a port has an address of it; that of its own DHCP server goes with it."""
    compare_and_swap(connection, subnets, subnet.id, expected_revision, {})
    user = _first_user(connection, subnet)
    if user is not None:
        raise _in_use(subnet, user.id, f"The port {user.id} has an address of the subnet {subnet.id}.")
    _drop_dhcp(connection, subnet)
    connection.execute(delete(subnets).where(subnets.c.id == subnet.id))
    events.tell(connection, "DELETED", subnet)
    _tell_network(connection, network)


def _tell_network(connection: Connection, network: Network) -> None:
    """A network lists its subnets: it has changed with them."""
    current = networks.get(connection, network.id, None)
    networks.update(connection, current, 0, {})


def _first_user(connection: Connection, subnet: Subnet) -> Row[Any] | None:
    query = select(ports.c.id).join(fixed_ips, fixed_ips.c.port_id == ports.c.id)
    query = query.where(fixed_ips.c.subnet_id == subnet.id, ports.c.device_owner != model.DHCP)
    return connection.execute(query.limit(1)).one_or_none()


def _check_gateway_free(connection: Connection, subnet: Subnet) -> None:
    query = select(ports.c.id).join(fixed_ips, fixed_ips.c.port_id == ports.c.id)
    query = query.where(
        fixed_ips.c.subnet_id == subnet.id,
        fixed_ips.c.ip_address == subnet.gateway_ip,
        ports.c.device_owner == model.ROUTER_INTERFACE,
    )
    port_id = connection.scalar(query)
    if port_id is not None:
        raise _in_use(subnet, port_id, f"A router has the gateway's address {subnet.gateway_ip}.")


def _in_use(subnet: Subnet, port_id: str, message: str) -> CloudError:
    return CloudError(
        "IN_USE", message, resource_type="subnet", id=subnet.id, used_by_type="port", used_by_id=port_id
    )


def _fit_dhcp(connection: Connection, network: Network, subnet: Subnet) -> None:
    """An IPv4 subnet with DHCP has one address, the same on every host, for its DHCP and metadata servers."""
    wanted = subnet.dhcp_enabled and subnet.ip_version == 4
    has = _dhcp_ports(connection, subnet)
    if wanted and not has:
        port_id = port_rows.insert_own(connection, network, network.project_id, model.DHCP, subnet.id)
        addresses.take(connection, subnet, port_id)
        port_rows.created(connection, port_id)
    elif not wanted:
        _drop_dhcp(connection, subnet)


def _drop_dhcp(connection: Connection, subnet: Subnet) -> None:
    for port_id in _dhcp_ports(connection, subnet):
        port_rows.remove(connection, port_rows.find(connection, port_id))


def _dhcp_ports(connection: Connection, subnet: Subnet) -> Sequence[str]:
    mine = (ports.c.device_owner == model.DHCP, ports.c.device_id == subnet.id)
    return connection.scalars(select(ports.c.id).where(*mine)).all()
