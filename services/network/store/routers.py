"""Routers: rows of `routers`; their interfaces and their way out are ports."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Connection, delete, insert, select

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, invalid, not_found
from services.network import model
from services.network.addresses import check_overlap
from services.network.model import FixedIp, Interface, Network, Port, Router, Subnet
from services.network.store import addresses, egress, events, port_rows, quota, router_rows, rows, subnets
from services.network.tables import fixed_ips, floating_ips, routers


def get(connection: Connection, id: str, reach: str | None, lock: rows.Lock = "") -> Router:
    """One router. NOT_FOUND."""
    row = rows.get(connection, routers, id, reach, lock)
    return router_rows.load(connection, [row])[0]


def page(
    connection: Connection, request: Message, caller: Caller, wanted: Mapping[str, object]
) -> tuple[list[Router], str]:
    """A page of the caller's routers."""
    query = rows.filtered(select(routers).where(rows.within(routers, caller.reach)), routers, **wanted)
    found, token = rows.page(connection, query, routers, request, caller)
    return router_rows.load(connection, found), token


def create(connection: Connection, values: Mapping[str, Any], limits: Mapping[str, int]) -> Router:
    """A new router without a way out. QUOTA_EXCEEDED."""
    quota.check(connection, values["project_id"], limits, "routers")
    row = {"routes": [], "gateway_network_id": None, "snat_enabled": True, "host_id": "", **values}
    id = connection.scalar(insert(routers).values(**row).returning(routers.c.id))
    router = router_rows.find(connection, id)
    events.tell(connection, "CREATED", router)
    return router


def update(
    connection: Connection, router: Router, expected_revision: int, values: Mapping[str, Any]
) -> Router:
    """The router after the change. REVISION_MISMATCH."""
    compare_and_swap(connection, routers, router.id, expected_revision, dict(values))
    after = router_rows.find(connection, router.id)
    events.tell(connection, "UPDATED", after)
    return after


def delete_router(connection: Connection, router: Router, expected_revision: int) -> None:
    """With its way out. IN_USE while it has interfaces."""
    compare_and_swap(connection, routers, router.id, expected_revision, {})
    if router.interfaces:
        raise _in_use(router, "port", router.interfaces[0].port_id, "still has an interface")
    if router.gateway:
        port_rows.remove(connection, port_rows.find(connection, router.gateway.port_id))
    connection.execute(delete(routers).where(routers.c.id == router.id))
    events.tell(connection, "DELETED", router)


def add_subnet(connection: Connection, router: Router, network: Network, subnet: Subnet) -> Router:
    """Connect a subnet at its gateway's address. CIDR_OVERLAP, ADDRESS_IN_USE."""
    if not subnet.gateway_ip:
        raise invalid("subnet_id", "the subnet has no gateway_ip: give it one, or connect a port")
    _check_overlap(connection, router, subnet)
    port_id = port_rows.insert_own(connection, network, router.project_id, model.ROUTER_INTERFACE, router.id)
    addresses.take(connection, subnet, port_id, subnet.gateway_ip)
    port_rows.created(connection, port_id)
    return _resettled(connection, router)


def add_port(connection: Connection, router: Router, port: Port) -> Router:
    """Connect a port that is nobody's yet, and has one address. IN_USE, CIDR_OVERLAP."""
    port_rows.refuse_own(port)
    if port.device_id or port.host_id:
        user = port.device_id or port.host_id
        message = f"The port {port.id} is in use by {user}."
        raise CloudError(
            "IN_USE",
            message,
            resource_type="port",
            id=port.id,
            used_by_type=port.device_owner or "device",
            used_by_id=user,
        )
    if len(port.fixed_ips) != 1:
        raise invalid("port_id", "a router's port has exactly one address")
    _check_overlap(connection, router, subnets.get(connection, port.fixed_ips[0].subnet_id, None))
    port_rows.set_groups(connection, port.id, [])
    owner = {"device_owner": model.ROUTER_INTERFACE, "device_id": router.id, "status": "ACTIVE"}
    port_rows.change(connection, port.id, {**owner, "port_security_enabled": False})
    return _resettled(connection, router)


def remove_interface(connection: Connection, router: Router, interface: Interface) -> Router:
    """Disconnect a subnet. IN_USE while a floating IP or a static route leads there."""
    inside = select(fixed_ips.c.ip_address).where(fixed_ips.c.subnet_id == interface.subnet_id)
    leading = select(floating_ips.c.id).where(
        floating_ips.c.router_id == router.id, floating_ips.c.fixed_ip.in_(inside)
    )
    user = connection.scalar(leading.limit(1))
    if user is not None:
        raise _in_use(router, "floating_ip", user, f"carries a floating IP to {interface.cidr}")
    for destination, hop in router.routes:
        if ip_address(hop) in ip_network(interface.cidr):
            raise _in_use(router, "route", destination, f"has a route by {hop}")
    port_rows.remove(connection, port_rows.find(connection, interface.port_id))
    return _resettled(connection, router)


def find_interface(router: Router, subnet_id: str, port_id: str) -> Interface:
    """The interface in a subnet, or of a port. NOT_FOUND."""
    for interface in router.interfaces:
        if interface.port_id == port_id or (not port_id and interface.subnet_id == subnet_id):
            return interface
    raise not_found("port" if port_id else "subnet", port_id or subnet_id)


def leads_out(router: Router, network: Network, wanted: FixedIp) -> bool:
    """Whether it has a way out by that network, and there the address that is wanted, if one is."""
    gateway = router.gateway
    if gateway is None or gateway.network_id != network.id:
        return False
    return FixedIp(gateway.subnet_id, gateway.ip_address).grants(wanted)


def set_gateway(
    connection: Connection, router: Router, network: Network, snat_enabled: bool, wanted: FixedIp
) -> Router:
    """Give it a way out by an external network, there at the address that is wanted, if one is.

    IN_USE while floating IPs go by another network; ADDRESS_IN_USE, ADDRESS_OUT_OF_RANGE, NOT_FOUND of a
    subnet, ADDRESSES_EXHAUSTED.
    """
    if leads_out(router, network, wanted):
        return update(connection, router, 0, {"snat_enabled": snat_enabled})
    have = subnets.of_network(connection, network.id)
    if not have:
        raise invalid("gateway.network_id", f"the network {network.id} has no subnet")
    for subnet in have:
        _check_gateway_overlap(router, subnet)
    if router.gateway and router.gateway.network_id == network.id:
        addresses.release(connection, router.gateway.port_id)
        _take_outside(connection, network, have, router.gateway.port_id, wanted)
        port_rows.change(connection, router.gateway.port_id, {})
    else:
        router = clear_gateway(connection, router)
        own = (router.project_id, model.ROUTER_GATEWAY, router.id)
        port_id = port_rows.insert_own(connection, network, *own)
        _take_outside(connection, network, have, port_id, wanted)
        port_rows.created(connection, port_id)
    update(connection, router, 0, {"gateway_network_id": network.id, "snat_enabled": snat_enabled})
    egress.settle(connection, router.id)
    return router_rows.find(connection, router.id)


def _take_outside(
    connection: Connection, network: Network, have: Sequence[Subnet], port_id: str, wanted: FixedIp
) -> None:
    if wanted.subnet_id or wanted.ip_address:
        addresses.take_wanted(connection, network, have, port_id, [wanted])
    else:  # IPv4 first: that is what a router translates to.
        addresses.take_first(connection, sorted(have, key=lambda subnet: subnet.ip_version), port_id)


def clear_gateway(connection: Connection, router: Router) -> Router:
    """Take its way out. IN_USE while a floating IP goes by it."""
    if router.gateway is None:
        return router
    user = connection.scalar(select(floating_ips.c.id).where(floating_ips.c.router_id == router.id).limit(1))
    if user is not None:
        raise _in_use(router, "floating_ip", user, "carries a floating IP")
    port_rows.remove(connection, port_rows.find(connection, router.gateway.port_id))
    return update(connection, router, 0, {"gateway_network_id": None, "snat_enabled": True, "host_id": ""})


def _check_overlap(connection: Connection, router: Router, subnet: Subnet) -> None:
    check_overlap(subnet.cidr, [(foot.subnet_id, foot.cidr) for foot in router.feet], subnet.id)


def _check_gateway_overlap(router: Router, subnet: Subnet) -> None:
    others = [(interface.subnet_id, interface.cidr) for interface in router.interfaces]
    check_overlap(subnet.cidr, others, subnet.id)


def _resettled(connection: Connection, router: Router) -> Router:
    """After its interfaces changed: a new revision, and the host where its ports now are."""
    update(connection, router, 0, {})
    egress.settle(connection, router.id)
    return router_rows.find(connection, router.id)


def _in_use(router: Router, kind: str, id: str, what: str) -> CloudError:
    message = f"The router {router.id} {what} ({id})."
    return CloudError(
        "IN_USE", message, resource_type="router", id=router.id, used_by_type=kind, used_by_id=id
    )
