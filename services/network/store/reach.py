"""Which hosts a router or a floating IP concerns: those whose states are made of it."""

from sqlalchemy import Connection, select

from services.network.model import FloatingIp, Router
from services.network.store import topology
from services.network.tables import networks, ports, routers
from services.network.topology import connected


def of_router(connection: Connection, router: Router) -> set[str]:
    """The host that it goes out on, and all that have its networks, however far these are connected."""
    feet = {interface.network_id for interface in router.interfaces}
    if router.gateway and _is_carried(connection, router.gateway.network_id):
        feet.add(router.gateway.network_id)
    around = {**topology.routers_on(connection, feet), router.id: router}
    together = connected(feet, around.values())
    there = {each.host_id for each in around.values() if each.gateway and each.network_ids & together}
    bound = select(ports.c.host_id).where(ports.c.network_id.in_(together)).distinct()
    return {*there, router.host_id, *connection.scalars(bound)} - {""}


def of_floating_ip(connection: Connection, floating_ip: FloatingIp) -> set[str]:
    """The host of the router, and that of the port, whose guest is told of it."""
    return {
        *connection.scalars(select(routers.c.host_id).where(routers.c.id == floating_ip.router_id)),
        *connection.scalars(select(ports.c.host_id).where(ports.c.id == floating_ip.port_id)),
    } - {""}


def _is_carried(connection: Connection, network_id: str) -> bool:
    """Whether hosts without the network's cable have it too."""
    return connection.scalar(select(networks.c.type).where(networks.c.id == network_id)) == "VXLAN"
