"""The host that each router with a way out goes out on: chosen, followed and moved."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from mesh.database import compare_and_swap
from mesh.prepared import Prepared
from services.network import model
from services.network.routers import Candidate, choose_egress
from services.network.store import events, hosts, router_rows
from services.network.tables import hosts as host_table
from services.network.tables import networks, ports, routers

_OF_NETWORK = select(ports.c.device_id).where(
    ports.c.network_id == bindparam("network_id"), ports.c.device_owner == model.ROUTER_INTERFACE
)
_GOING_OUT = Prepared(
    select(routers.c.id).where(routers.c.id.in_(_OF_NETWORK), routers.c.gateway_network_id.is_not(None))
)


def settle(connection: Connection, router_id: str) -> None:
    """Give a router with a way out its host: where all ports behind it are, else it stays where it is, else
    where most are. None where no host with the external network is there.
    """
    router = router_rows.find(connection, router_id)
    if router.gateway_network_id is None:
        _place(connection, router, "")
        return
    candidates = _candidates(connection, router, hosts.present())
    gathered = [host for host in candidates if host.ports]
    elsewhere = _hosts_with_ports(connection, router).keys() - {host.host_id for host in gathered}
    if len(gathered) == 1 and not elsewhere:
        _place(connection, router, gathered[0].host_id)
    elif not _may_stay(connection, router):
        _place(connection, router, choose_egress(candidates) or router.host_id)


def host_connected(connection: Connection, host_id: str, *args: Any) -> None:
    """Like `hosts.connect`; routers that go out there are placed anew when it has other networks now."""
    if hosts.connect(connection, host_id, *args):
        for router_id in connection.scalars(select(routers.c.id).where(routers.c.host_id == host_id)).all():
            settle(connection, router_id)


def follow(connection: Connection, network_id: str) -> None:
    """A port of the network went to a host: routers that have all their ports there go with it."""
    for router in _GOING_OUT.all(connection, network_id=network_id):
        settle(connection, router.id)


def stranded(connection: Connection, homeless_only: bool) -> list[str]:
    """Routers with a way out that have no host, or (unless `homeless_only`) whose host is away."""
    there = select(host_table.c.id).where(~hosts.away())
    lost = routers.c.host_id == "" if homeless_only else routers.c.host_id.not_in(there)
    query = select(routers.c.id).where(routers.c.gateway_network_id.is_not(None), lost)
    return list(connection.scalars(query))


def move(connection: Connection, router_ids: Iterable[str]) -> int:
    """Place stranded routers on hosts that are there; how many found one."""
    placed = 0
    for router_id in router_ids:
        if connection.scalar(select(routers.c.id).where(routers.c.id == router_id)) is None:
            continue
        before = router_rows.find(connection, router_id).host_id
        settle(connection, router_id)
        placed += router_rows.find(connection, router_id).host_id != before
    return placed


def _place(connection: Connection, router: model.Router, host_id: str) -> None:
    if router.host_id != host_id:
        compare_and_swap(connection, routers, router.id, None, {"host_id": host_id})
        events.tell(connection, "UPDATED", router_rows.find(connection, router.id))


def _may_stay(connection: Connection, router: model.Router) -> bool:
    """Whether its host is not away, or not for long, and still has the external network."""
    still = (host_table.c.id == router.host_id) & ~hosts.away()
    return bool(_candidates(connection, router, still))


def _candidates(connection: Connection, router: model.Router, which: ColumnElement[bool]) -> list[Candidate]:
    """Those of the hosts that are connected to the router's external network."""
    external = connection.execute(select(networks).where(networks.c.id == router.gateway_network_id)).one()
    count = func.count()
    going_out = select(routers.c.host_id, count).where(routers.c.id != router.id).group_by(routers.c.host_id)
    busy: dict[str, int] = dict(connection.execute(going_out).all())
    having = _hosts_with_ports(connection, router)
    return [
        Candidate(host.id, having.get(host.id, 0), busy.get(host.id, 0))
        for host in connection.execute(select(host_table).where(which))
        if (
            external.physical_network in host.physical_networks
            if external.type == "FLAT"
            else host.vtep_address
        )
    ]


def _hosts_with_ports(connection: Connection, router: model.Router) -> dict[str, int]:
    """How many ports behind the router each host has."""
    behind = ports.c.network_id.in_({interface.network_id for interface in router.interfaces})
    query = select(ports.c.host_id, func.count()).where(behind, ports.c.host_id != "")
    return dict(connection.execute(query.group_by(ports.c.host_id)).all())
