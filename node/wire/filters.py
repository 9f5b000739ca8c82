"""The inet half of the filters: security groups, with memory of what was allowed.

Bridged packets come here by br_netfilter, marked with their port's number by the bridge half (`guard`).
Each network is a conntrack zone, so tenants may use the same addresses. Ports with the same groups share a
chain; a remote group is a set of addresses.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from ipaddress import ip_address

from node.wire import rules
from node.wire.guard import SECURED, SEEN
from node.wire.names import tap
from node.wire.ruleset import Chain, Elements, Hook, Table
from weft.network.v1 import host_state_pb2, resources_pb2

Groups = Mapping[str, host_state_pb2.HostSecurityGroup]
_ND = "nd-neighbor-solicit, nd-neighbor-advert"
# A connection whose entry was taken away must not begin again in its middle, from the other side.
_MIDDLE = "meta l4proto tcp ct state new tcp flags & (fin | syn | rst | ack) != syn drop"
_FROM_PORT = (
    f"meta mark & 0xffff0000 != {SECURED} return",
    "ct zone 0 drop",
    "ct state established,related return",
    "ct state invalid drop",
    f"icmpv6 type {{ {_ND}, nd-router-solicit, mld-listener-report, mld2-listener-report }} return",
    "udp sport 68 udp dport 67 return",
    _MIDDLE,
    "meta mark vmap @egress",
    "drop",
)
_TO_PORT = (
    f"meta mark set meta mark | {SEEN}",
    f"meta mark & 0x7fff0000 != {SECURED} return",
    "ct state established,related return",
    "ct state invalid drop",
    f"icmpv6 type {{ {_ND}, nd-router-advert }} return",
    "udp sport 67 udp dport 68 return",
    _MIDDLE,
    "meta mark vmap @ingress",
    "drop",
)


def table(
    ports: Iterable[host_state_pb2.HostPort],
    groups: Groups,
    numbers: Mapping[str, int],
    zones: Mapping[str, int],
    flat_bridges: Iterable[str],
) -> Table:
    """The inet table. `zones` gives each bridge's; `flat_bridges` are those that other software shares."""
    secured = [port for port in ports if port.port_security_enabled]
    chains = _entry_chains(flat_bridges)
    verdicts: dict[str, set[str]] = {"ingress": set(), "egress": set()}
    for port in secured:
        for direction in verdicts:
            name = chain_name(direction, port.security_group_ids)
            if name not in chains:
                chains[name] = _group_chain(direction, port.security_group_ids, groups)
            verdicts[direction].add(f"{_mark(direction, numbers[tap(port.id)])} : jump {name}")
    sets = {
        name: Elements(frozenset(found), is_map=True, spec="type mark : verdict;")
        for name, found in verdicts.items()
    }
    pairs = (f"{bridge} : {zone}" for bridge, zone in zones.items())
    sets["zone"] = Elements(frozenset(pairs), is_map=True, spec="typeof iifname : ct zone;")
    return Table(chains, sets | _member_sets(secured, groups))


def _mark(direction: str, number: int) -> int:
    return SECURED | number | (SEEN if direction == "ingress" else 0)


def chain_name(direction: str, group_ids: Iterable[str]) -> str:
    """The chain that ports with these groups share."""
    return f"{direction}_{sha256(' '.join(sorted(group_ids)).encode()).hexdigest()[:16]}"


def _entry_chains(flat_bridges: Iterable[str]) -> dict[str, Chain]:
    """Where packets of our bridges enter; nothing else on the machine is looked at."""
    flat = sorted(flat_bridges)
    from_port = [f'iifname "{name}" jump from_port' for name in ("wb*", *flat)]
    to_port = [f'oifname "{name}" jump to_port' for name in ("wb*", *flat)]
    return {
        "from_port": Chain.of(*_FROM_PORT),
        "to_port": Chain.of(*_TO_PORT),
        "raw": Chain.of("ct zone set iifname map @zone", hook=Hook("filter", "prerouting", -300)),
        "prerouting": Chain.of(*from_port, hook=Hook("filter", "prerouting", 0)),
        # Guests are bridged, never routed by the host's own stack, and have no business with it.
        "forward": Chain.of(
            'iifname "wb*" oifname != "wb*" drop',
            *to_port,
            hook=Hook("filter", "forward", 0),
        ),
        "input": Chain.of('iifname "wb*" drop', hook=Hook("filter", "input", 0)),
    }


def _group_chain(direction: str, group_ids: Iterable[str], groups: Groups) -> Chain:
    wanted = (rule for id in sorted(group_ids) if id in groups for rule in groups[id].rules)
    return Chain.of(*dict.fromkeys(_texts(direction, wanted)))


def _texts(direction: str, found: Iterable[resources_pb2.SecurityGroupRule]) -> Iterator[str]:
    which = resources_pb2.Direction.Value(f"DIRECTION_{direction.upper()}")
    for rule in found:
        if rule.direction != which:
            continue
        try:
            yield rules.text(rule)
        except rules.BadRule:
            continue  # it allows nothing, which is the safe side; `bad_rules` tells of it


def bad_rules(groups: Groups) -> dict[str, str]:
    """Rules that cannot be enforced and why, by id."""
    found = {}
    for group in groups.values():
        for rule in group.rules:
            try:
                rules.text(rule)
            except rules.BadRule as error:
                found[rule.id] = str(error)
    return found


def _member_sets(ports: Iterable[host_state_pb2.HostPort], groups: Groups) -> dict[str, Elements]:
    """Sets of the groups that a rule names as remote; of one that this host is not told, an empty one."""
    used = {id for port in ports for id in port.security_group_ids if id in groups}
    remote = {rule.remote_group_id for id in used for rule in groups[id].rules if rule.remote_group_id}
    sets = {}
    for group_id in remote:
        members = groups[group_id].member_addresses if group_id in groups else ()
        addresses = [ip_address(member) for member in members]
        for version in (4, 6):
            found = frozenset(str(address) for address in addresses if address.version == version)
            spec = f"type ipv{version}_addr;"
            sets[rules.members_set(group_id, version)] = Elements(found, spec=spec)
    return sets


def permitted(port: host_state_pb2.HostPort, flow: rules.Flow, groups: Groups) -> bool:
    """Whether the port's groups let a flow begin."""
    if not port.port_security_enabled:
        return True
    return any(
        rules.allows(
            rule,
            flow,
            groups[rule.remote_group_id].member_addresses if rule.remote_group_id in groups else (),
        )
        for id in port.security_group_ids
        if id in groups
        for rule in groups[id].rules
    )
