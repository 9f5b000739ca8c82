"""Reads, in one snapshot, all that the states of some hosts depend on."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, select

from mesh import outbox
from mesh.journal import ACTIVE
from mesh.prepared import Prepared
from mesh.tables import operations
from services.network import model
from services.network.model import FloatingIp, Network, Port, Router, SecurityGroup, Subnet
from services.network.small_changes import Few
from services.network.store import port_rows, router_rows, security_groups
from services.network.tables import fixed_ips, floating_ips, networks, port_security_groups, ports
from services.network.tables import hosts as host_table
from services.network.tables import routers as router_table
from services.network.tables import security_groups as group_table
from services.network.tables import subnets as subnet_table
from services.network.topology import Host, Neighbour, Topology

# Whether any operation is under way: all of this service's wait for hosts.
_AWAITED = Prepared(
    select(operations.c.id).where(operations.c.state.in_(bindparam("states", expanding=True))).limit(1)
)
# As many ids as one IN carries.
_CHUNK = 1000
_IDS = bindparam("ids", expanding=True)
_PORTS = Prepared(select(ports).where(ports.c.id.in_(_IDS)))
_FEW_GROUPS = Prepared(select(group_table).where(group_table.c.id.in_(_IDS)))
_LEADING_TO = Prepared(
    select(floating_ips).where(floating_ips.c.port_id.in_(_IDS)).order_by(floating_ips.c.id)
)
_MEMBERS = Prepared(
    select(port_security_groups.c.security_group_id, fixed_ips.c.ip_address)
    .join(fixed_ips, fixed_ips.c.port_id == port_security_groups.c.port_id)
    .where(port_security_groups.c.security_group_id.in_(_IDS))
    .order_by(fixed_ips.c.packed)
)


def load(connection: Connection, host_ids: Collection[str]) -> Topology:
    """What `host_state.of` needs for any of these hosts."""
    bound = _ports(connection, host_ids)
    local = [port for of_host in bound.values() for port in of_host]
    routers = routers_on(connection, {port.network_id for port in local}, host_ids)
    network_ids = {port.network_id for port in local}
    for router in routers.values():
        if router.host_id in host_ids or not router.gateway:
            network_ids |= router.network_ids
    neighbours = _neighbours(connection, network_ids)
    groups = _groups(connection, local)
    there = {n.host_id for of_network in neighbours.values() for n in of_network}
    there |= {router.host_id for router in routers.values()}
    return Topology(
        revision=outbox.latest(connection),
        awaited=bool(_AWAITED.all(connection, states=ACTIVE)),
        networks=_networks(connection, network_ids),
        subnets=_subnets(connection, network_ids),
        dhcp_addresses=_dhcp_addresses(connection, network_ids),
        neighbours=neighbours,
        ports=bound,
        routers=routers,
        floating_ips=_floating_ips(connection, [r.id for r in routers.values() if r.host_id in host_ids]),
        leading_to=_leading_to(connection, [port.id for port in local]),
        groups=groups,
        members=_members(connection, groups.values()),
        hosts=_hosts(connection, there),
    )


def few(connection: Connection, port_ids: Collection[str], group_ids: Collection[str]) -> Few:
    """Some ports, and some groups with their members."""
    rows = [row for chunk in _chunks(port_ids) for row in _PORTS.all(connection, ids=chunk)]
    found = port_rows.load(connection, rows) if rows else []
    groups = [row for chunk in _chunks(group_ids) for row in _FEW_GROUPS.all(connection, ids=chunk)]
    return Few(
        revision=outbox.latest(connection),
        ports={port.id: port for port in found},
        reached=frozenset(_leading_to(connection, [port.id for port in found])),
        groups={group.id: group for group in security_groups.load(connection, groups)} if groups else {},
        members=_members_of(connection, group_ids),
    )


def _chunks(ids: Iterable[str]) -> list[list[str]]:
    found = sorted(set(ids))
    return [found[at : at + _CHUNK] for at in range(0, len(found), _CHUNK)]


def _rows(connection: Connection, query: Any, column: ColumnElement[Any], ids: Iterable[str]) -> list[Any]:
    """Rows whose column is one of the ids."""
    chunks = _chunks(ids)
    return [row for chunk in chunks for row in connection.execute(query.where(column.in_(chunk)))]


def _ports(connection: Connection, host_ids: Collection[str]) -> dict[str, list[Port]]:
    query = select(ports).order_by(ports.c.id)
    found: defaultdict[str, list[Port]] = defaultdict(list)
    rows = _rows(connection, query, ports.c.host_id, host_ids)
    for at in range(0, len(rows), _CHUNK):
        for port in port_rows.load(connection, rows[at : at + _CHUNK]):
            found[port.host_id].append(port)
    return found


def routers_on(
    connection: Connection, network_ids: set[str], host_ids: Collection[str] = ()
) -> dict[str, Router]:
    """Routers on these networks or that go out on these hosts, and on, over those without a way out."""
    found: dict[str, Router] = {}
    asked: set[str] = set()
    rows = _rows(connection, select(router_table), router_table.c.host_id, host_ids)
    wanted = set(network_ids)
    while True:
        for router in router_rows.load(connection, rows):
            found[router.id] = router
            if router.gateway is None or router.host_id in host_ids:
                wanted |= {interface.network_id for interface in router.interfaces}
            if router.gateway and router.host_id in host_ids:
                wanted.add(router.gateway.network_id)
        new, asked = wanted - asked, asked | wanted
        if not new:
            return found
        ids = _routers_on(connection, new) - found.keys()
        rows = _rows(connection, select(router_table), router_table.c.id, ids)


def _routers_on(connection: Connection, network_ids: Iterable[str]) -> set[str]:
    """Routers with a port in the networks. Of those that go out by a FLAT one, nobody there needs to know."""
    matters = (ports.c.device_owner == model.ROUTER_INTERFACE) | (
        (ports.c.device_owner == model.ROUTER_GATEWAY) & (networks.c.type == "VXLAN")
    )
    query = select(ports.c.device_id).join(networks, networks.c.id == ports.c.network_id).where(matters)
    return {row.device_id for row in _rows(connection, query, ports.c.network_id, network_ids)}


def _networks(connection: Connection, ids: Iterable[str]) -> dict[str, Network]:
    found = _rows(connection, select(networks), networks.c.id, ids)
    return {row.id: Network(**row._mapping) for row in found}


def _subnets(connection: Connection, network_ids: Iterable[str]) -> dict[str, list[Subnet]]:
    query = select(subnet_table).order_by(subnet_table.c.created_at, subnet_table.c.id)
    found: defaultdict[str, list[Subnet]] = defaultdict(list)
    for row in _rows(connection, query, subnet_table.c.network_id, network_ids):
        found[row.network_id].append(Subnet(**row._mapping))
    return found


def _dhcp_addresses(connection: Connection, network_ids: Iterable[str]) -> dict[str, str]:
    query = select(fixed_ips.c.subnet_id, fixed_ips.c.ip_address)
    query = query.join(ports, ports.c.id == fixed_ips.c.port_id).where(ports.c.device_owner == model.DHCP)
    found = _rows(connection, query, ports.c.network_id, network_ids)
    return {row.subnet_id: row.ip_address for row in found}


def _neighbours(connection: Connection, network_ids: Iterable[str]) -> dict[str, list[Neighbour]]:
    """Bound ports of the networks."""
    query = select(
        ports.c.network_id, ports.c.id, ports.c.host_id, ports.c.mac_address, fixed_ips.c.ip_address
    ).outerjoin(fixed_ips, fixed_ips.c.port_id == ports.c.id)
    query = query.where(ports.c.host_id != "").order_by(ports.c.id, fixed_ips.c.position)
    of_port: dict[str, tuple[Any, list[str]]] = {}
    for row in _rows(connection, query, ports.c.network_id, network_ids):
        addresses = of_port.setdefault(row.id, (row, []))[1]
        if row.ip_address:
            addresses.append(row.ip_address)
    found: defaultdict[str, list[Neighbour]] = defaultdict(list)
    for row, addresses in of_port.values():
        found[row.network_id].append(Neighbour(row.id, row.host_id, row.mac_address, tuple(addresses)))
    return found


def _floating_ips(connection: Connection, router_ids: Iterable[str]) -> dict[str, list[FloatingIp]]:
    query = select(floating_ips).order_by(floating_ips.c.id)
    found: defaultdict[str, list[FloatingIp]] = defaultdict(list)
    for row in _rows(connection, query, floating_ips.c.router_id, router_ids):
        found[row.router_id].append(FloatingIp(**row._mapping))
    return found


def _leading_to(connection: Connection, port_ids: Iterable[str]) -> dict[str, list[FloatingIp]]:
    found: defaultdict[str, list[FloatingIp]] = defaultdict(list)
    for row in (row for chunk in _chunks(port_ids) for row in _LEADING_TO.all(connection, ids=chunk)):
        found[row.port_id].append(FloatingIp(**row._mapping))
    return found


def _groups(connection: Connection, local: Sequence[Port]) -> dict[str, SecurityGroup]:
    ids = {group_id for port in local for group_id in port.security_group_ids}
    rows = _rows(connection, select(group_table), group_table.c.id, ids)
    return {group.id: group for group in security_groups.load(connection, rows)}


def _members(connection: Connection, groups: Iterable[SecurityGroup]) -> dict[str, list[str]]:
    """Addresses of the ports of every group that a rule names as remote."""
    named = {rule.remote_group_id for group in groups for rule in group.rules if rule.remote_group_id}
    return _members_of(connection, named)


def _members_of(connection: Connection, group_ids: Iterable[str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in (row for chunk in _chunks(group_ids) for row in _MEMBERS.all(connection, ids=chunk)):
        found[row.security_group_id].append(row.ip_address)
    return found


def _hosts(connection: Connection, ids: Iterable[str]) -> dict[str, Host]:
    rows = _rows(connection, select(host_table), host_table.c.id, ids)
    return {row.id: Host(row.id, row.vtep_address) for row in rows}
