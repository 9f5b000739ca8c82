"""Security group rules: what each allows, as nftables text and as a question about one flow.

The question is asked of connections that were allowed before a rule was taken away.
"""

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from weft.network.v1 import resources_pb2 as pb

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "ipv6-icmp": 58, "sctp": 132, "udplite": 136}
_WITH_PORTS = {6: "tcp", 17: "udp", 132: "sctp", 136: "udplite"}
_ICMP = {1: "icmp", 58: "icmpv6"}


@dataclass(frozen=True, slots=True)
class Flow:
    """One connection as its first packet had it. For ICMP, `port` is the type."""

    ingress: bool
    remote: IPv4Address | IPv6Address
    protocol: int
    port: int | None


class BadRule(ValueError):
    """A rule that says nothing that can be enforced; it allows nothing."""


def members_set(group_id: str, version: int) -> str:
    """Name of the set of a group's addresses of one IP version."""
    return f"m{version}_{group_id.replace('-', '')}"


def text(rule: pb.SecurityGroupRule) -> str:
    """The rule for nftables, ending in accept. Raises BadRule."""
    return " ".join((_remote_text(rule), *_protocol_text(rule), "accept"))


def _remote_text(rule: pb.SecurityGroupRule) -> str:
    family = {4: "ip", 6: "ip6"}.get(rule.ip_version)
    if family is None:
        raise BadRule(f"IP version {rule.ip_version}")
    side = "saddr" if rule.direction == pb.DIRECTION_INGRESS else "daddr"
    if rule.remote_group_id:
        return f"{family} {side} @{members_set(rule.remote_group_id, rule.ip_version)}"
    if not rule.remote_cidr:
        return f"meta nfproto ipv{rule.ip_version}"
    network = _network(rule)
    return f"{family} {side} {network}" if network.prefixlen else f"meta nfproto ipv{rule.ip_version}"


def _network(rule: pb.SecurityGroupRule) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(rule.remote_cidr, strict=False)
    except ValueError as error:
        raise BadRule(str(error)) from error
    if network.version != rule.ip_version:
        raise BadRule(f"{network} in a rule for IPv{rule.ip_version}")
    return network


def _protocol(rule: pb.SecurityGroupRule) -> int | None:
    name = rule.protocol.lower()
    if name in ("", "any"):
        return None
    number = _PROTOCOLS.get(name, int(name) if name.isdecimal() else -1)
    if not 0 <= number <= 255:
        raise BadRule(f"protocol {rule.protocol}")
    return 58 if number == 1 and rule.ip_version == 6 else number


def _bounds(rule: pb.SecurityGroupRule) -> tuple[int, int] | None:
    if not rule.HasField("port_min") and not rule.HasField("port_max"):
        return None
    low = rule.port_min if rule.HasField("port_min") else 0
    high = rule.port_max if rule.HasField("port_max") else 65535
    if not 0 <= low <= high <= 65535:
        raise BadRule(f"ports {low} to {high}")
    return low, high


def _protocol_text(rule: pb.SecurityGroupRule) -> list[str]:
    number = _protocol(rule)
    if number is None:
        return []
    if number in _ICMP:
        return _icmp_text(rule, number)
    bounds = _bounds(rule) if number in _WITH_PORTS else None
    if bounds is None:
        return [f"meta l4proto {number}"]
    return [f"{_WITH_PORTS[number]} dport {bounds[0]}-{bounds[1]}"]


def _icmp_text(rule: pb.SecurityGroupRule, number: int) -> list[str]:
    parts = [f"meta l4proto {number}"]
    given = (
        ("type", rule.port_min if rule.HasField("port_min") else None),
        ("code", rule.port_max if rule.HasField("port_max") else None),
    )
    for key, value in given:
        if value is not None:
            if not 0 <= value <= 255:
                raise BadRule(f"ICMP {key} {value}")
            parts.append(f"{_ICMP[number]} {key} {value}")
    return parts


def allows(rule: pb.SecurityGroupRule, flow: Flow, members: Collection[str]) -> bool:
    """Whether the rule lets a flow begin; `members` are the addresses of the rule's remote group."""
    try:
        return _allows(rule, flow, members)
    except BadRule:
        return False


def _allows(rule: pb.SecurityGroupRule, flow: Flow, members: Collection[str]) -> bool:
    if (rule.direction == pb.DIRECTION_INGRESS) != flow.ingress or rule.ip_version != flow.remote.version:
        return False
    if rule.remote_group_id and flow.remote not in map(ip_address, members):
        return False
    if rule.remote_cidr and not rule.remote_group_id and flow.remote not in _network(rule):
        return False
    number = _protocol(rule)
    if number is None:
        return True
    if number != flow.protocol:
        return False
    if number in _ICMP:
        return not rule.HasField("port_min") or flow.port == rule.port_min
    bounds = _bounds(rule) if number in _WITH_PORTS else None
    return bounds is None or (flow.port is not None and bounds[0] <= flow.port <= bounds[1])
