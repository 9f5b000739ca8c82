"""Floating IPs: rows of `floating_ips`, each with a port of its own that holds its address."""

from collections.abc import Collection, Mapping
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Connection, Row, bindparam, delete, select

from mesh import ids
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, invalid
from mesh.prepared import Prepared
from services.network import model
from services.network.model import FloatingIp, Network, Port
from services.network.store import addresses, events, port_rows, quota, rows, subnets
from services.network.store.rows import insert_unless_taken
from services.network.tables import fixed_ips, floating_ips, ports, routers

_LEADING_TO = Prepared(select(floating_ips).where(floating_ips.c.port_id == bindparam("port_id")))
_NOWHERE = {"port_id": None, "fixed_ip": "", "router_id": None}


def get(connection: Connection, id: str, reach: str | None, lock: rows.Lock = "") -> FloatingIp:
    """One floating IP. NOT_FOUND."""
    return _of(rows.get(connection, floating_ips, id, reach, lock))


def page(
    connection: Connection, request: Message, caller: Caller, wanted: Mapping[str, object]
) -> tuple[list[FloatingIp], str]:
    """A page of the caller's floating IPs."""
    query = select(floating_ips).where(rows.within(floating_ips, caller.reach))
    query = rows.filtered(query, floating_ips, **wanted)
    found, token = rows.page(connection, query, floating_ips, request, caller)
    return [_of(row) for row in found], token


def create(
    connection: Connection,
    network: Network,
    project_id: str,
    address: str,
    described: Mapping[str, Any],
    limits: Mapping[str, int],
) -> FloatingIp:
    """A new one that leads nowhere yet. QUOTA_EXCEEDED, ADDRESSES_EXHAUSTED, ADDRESS_IN_USE."""
    quota.check(connection, project_id, limits, "floating_ips")
    id = ids.new()
    of_version = [subnet for subnet in subnets.of_network(connection, network.id) if subnet.ip_version == 4]
    if not of_version:
        raise invalid("network_id", f"the network {network.id} has no IPv4 subnet")
    port_id = port_rows.insert_own(connection, network, project_id, model.FLOATING_IP, id)
    if address:
        wish = [model.FixedIp("", address)]
        given = addresses.take_wanted(connection, network, of_version, port_id, wish)[0]
    else:
        given = addresses.take_first(connection, of_version, port_id)
    port_rows.created(connection, port_id)
    values = {"id": id, "project_id": project_id, "network_id": network.id, **described}
    insert_unless_taken(connection, floating_ips, {**values, "address": given.ip_address, **_NOWHERE})
    floating_ip = get(connection, id, None)
    events.tell(connection, "CREATED", floating_ip)
    return floating_ip


def update(
    connection: Connection, floating_ip: FloatingIp, expected_revision: int, values: Mapping[str, Any]
) -> FloatingIp:
    """The floating IP after the change. REVISION_MISMATCH."""
    after = _of(compare_and_swap(connection, floating_ips, floating_ip.id, expected_revision, dict(values)))
    events.tell(connection, "UPDATED", after)
    return after


def lead_to(connection: Connection, floating_ip: FloatingIp, port: Port, fixed_ip: str) -> dict[str, Any]:
    """The values that make it lead to an address of a port ("": its first of IPv4).

    NOT_FOUND when no router connects that address with its network; ADDRESS_IN_USE when the address has a
    floating IP already.
    """
    port_rows.refuse_own(port)
    target = _address_of(port, fixed_ip)
    taken = select(floating_ips.c.id).where(
        floating_ips.c.port_id == port.id,
        floating_ips.c.fixed_ip == target.ip_address,
        floating_ips.c.id != floating_ip.id,
    )
    if connection.scalar(taken) is not None:
        message = f"The address {target.ip_address} of the port {port.id} has a floating IP already."
        raise CloudError("ADDRESS_IN_USE", message, address=target.ip_address, network_id=port.network_id)
    router_id = _router_between(connection, target.subnet_id, floating_ip.network_id)
    return {"port_id": port.id, "fixed_ip": target.ip_address, "router_id": router_id}


def lead_nowhere() -> dict[str, Any]:
    """The values that make it lead to no port."""
    return dict(_NOWHERE)


def by_router(connection: Connection, router_id: str) -> list[Row[Any]]:
    """Those that lead by the router: id, address, network_id, and the subnet_id that each leads to."""
    query = select(
        floating_ips.c.id, floating_ips.c.address, floating_ips.c.network_id, fixed_ips.c.subnet_id
    ).join(fixed_ips, fixed_ips.c.port_id == floating_ips.c.port_id)
    query = query.where(fixed_ips.c.ip_address == floating_ips.c.fixed_ip)
    return list(connection.execute(query.where(floating_ips.c.router_id == router_id)))


def disconnect(connection: Connection, port_id: str) -> None:
    """The port goes: what led to it leads nowhere."""
    for row in _LEADING_TO.all(connection, port_id=port_id):
        update(connection, _of(row), 0, _NOWHERE)


def require_unused(connection: Connection, port_id: str, keep: Collection[str]) -> None:
    """IN_USE when a floating IP leads to an address of the port that is not among those kept."""
    for row in _LEADING_TO.all(connection, port_id=port_id):
        if row.fixed_ip not in keep:
            message = f"The floating IP {row.address} leads to {row.fixed_ip}."
            raise CloudError(
                "IN_USE",
                message,
                resource_type="port",
                id=port_id,
                used_by_type="floating_ip",
                used_by_id=row.id,
            )


def delete_floating_ip(connection: Connection, floating_ip: FloatingIp, expected_revision: int) -> None:
    """With the port that holds its address."""
    compare_and_swap(connection, floating_ips, floating_ip.id, expected_revision, {})
    connection.execute(delete(floating_ips).where(floating_ips.c.id == floating_ip.id))
    own = select(ports.c.id).where(
        ports.c.device_id == floating_ip.id, ports.c.device_owner == model.FLOATING_IP
    )
    port_rows.remove(connection, port_rows.find(connection, connection.scalars(own).one()))
    events.tell(connection, "DELETED", floating_ip)


def _address_of(port: Port, fixed_ip: str) -> model.FixedIp:
    for ip in port.fixed_ips:
        if ip.ip_address == fixed_ip or (not fixed_ip and ":" not in ip.ip_address):
            if ":" in ip.ip_address:
                raise invalid("fixed_ip", "a floating IP leads to an IPv4 address")
            return ip
    raise invalid("fixed_ip", f"the port {port.id} has no {fixed_ip or 'IPv4 address'}")


def _router_between(connection: Connection, subnet_id: str, network_id: str) -> str:
    """The router, held until we commit: its way out is not taken meanwhile."""
    feet = select(ports.c.device_id).join(fixed_ips, fixed_ips.c.port_id == ports.c.id)
    feet = feet.where(fixed_ips.c.subnet_id == subnet_id, ports.c.device_owner == model.ROUTER_INTERFACE)
    between = select(routers.c.id).where(routers.c.gateway_network_id == network_id, routers.c.id.in_(feet))
    router_id = connection.scalar(between.order_by(routers.c.created_at).limit(1).with_for_update())
    if router_id is None:
        message = f"No router connects the subnet {subnet_id} with the network {network_id}."
        raise CloudError("NOT_FOUND", message, resource_type="router", id="")
    return router_id


def _of(row: Row[Any]) -> FloatingIp:
    return FloatingIp(**row._mapping)
