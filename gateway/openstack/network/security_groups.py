"""Security groups and their rules."""

from typing import Any
from uuid import UUID

from gateway.openstack import call as body
from gateway.openstack.faults import Refusal
from gateway.openstack.fields import Field
from gateway.openstack.network.common import common
from gateway.openstack.network.resource import SHARED, Resource
from weft.network.v1 import resources_pb2
from weft.network.v1 import security_group_service_pb2 as messages
from weft.network.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub

_DIRECTIONS = {"ingress": resources_pb2.DIRECTION_INGRESS, "egress": resources_pb2.DIRECTION_EGRESS}
_ICMP = frozenset({"icmp", "icmpv6", "ipv6-icmp", "1", "58"})
_VERSIONS = {"IPv4": 4, "IPv6": 6}
_RULE = {
    "security_group_id": Field("security_group_id", str),
    "remote_ip_prefix": Field("remote_cidr", str),
    "remote_group_id": Field("remote_group_id", str),
    "description": Field("description", str),
}
_MATCH = frozenset({"direction", "ethertype", "protocol", "port_range_min", "port_range_max"})


def view(group: resources_pb2.SecurityGroup) -> dict[str, Any]:
    """As Neutron shows it, with its rules."""
    return common(group) | {
        "name": group.name,
        "stateful": group.stateful,
        "shared": False,
        "security_group_rules": [rule_view(rule) for rule in group.rules],
        "tags": list(group.tags),
    }


def rule_view(rule: resources_pb2.SecurityGroupRule) -> dict[str, Any]:
    """As Neutron shows it."""
    return common(rule) | {
        "security_group_id": rule.security_group_id,
        "direction": "ingress" if rule.direction == resources_pb2.DIRECTION_INGRESS else "egress",
        "ethertype": "IPv6" if rule.ip_version == 6 else "IPv4",
        "protocol": rule.protocol or None,
        "port_range_min": rule.port_min if rule.HasField("port_min") else None,
        "port_range_max": rule.port_max if rule.HasField("port_max") else None,
        "remote_ip_prefix": rule.remote_cidr or None,
        "remote_group_id": rule.remote_group_id or None,
        "remote_address_group_id": None,
        "tags": [],
    }


def _stateful(given: dict[str, Any]) -> dict[str, Any]:
    """All groups are stateful; one that must not be is refused."""
    if not body.field(given, "stateful", bool, True):
        raise Refusal(501, "Security groups without state are not supported.")
    return {"name": body.field(given, "name", str)}


def _matching(given: dict[str, Any]) -> dict[str, Any]:
    """Which packets a rule lets pass. A protocol is a name or a number; any is none."""
    protocol, remote = given.get("protocol"), body.field(given, "remote_group_id", str, "")
    if remote and not _is_uuid(remote):
        raise Refusal(404, f"There is no security group {remote}.")
    named = "" if protocol in (None, "any") else str(protocol)
    bounds = _icmp if named in _ICMP else _ports
    low, high = bounds(given.get("port_range_min"), given.get("port_range_max"))
    return {
        "direction": _of(given, "direction", _DIRECTIONS, ""),
        "ip_version": _of(given, "ethertype", _VERSIONS, "IPv4"),
        "protocol": named,
        "port_min": low,
        "port_max": high,
    }


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _of(given: dict[str, Any], name: str, known: dict[str, int], default: str) -> int:
    value = body.field(given, name, str, default)
    if value not in known:
        raise Refusal(400, f"{name}: {value!r} is not one of {', '.join(known)}.")
    return known[value]


def _ports(low: Any, high: Any) -> tuple[int | None, int | None]:
    """The ports of a rule. What cannot be is refused here in Neutron's words, which clients look for."""
    first, last = _number(low, "port", 65535), _number(high, "port", 65535)
    if first is None and last is None:
        return None, None
    if first is None or last is None or first > last:
        raise Refusal(400, "Both or none: port_range_min must be <= port_range_max.")
    return first, last


def _icmp(low: Any, high: Any) -> tuple[int | None, int | None]:
    """The type and the code of a rule of ICMP, which are said as its ports."""
    kind, code = _number(low, "ICMP type", 255), _number(high, "ICMP code", 255)
    if kind is None and code is not None:
        raise Refusal(400, "A code comes with its type: ICMP type (port-range-min) is missing.")
    return kind, code


def _number(value: Any, kind: str, most: int) -> int | None:
    """Clients send it as a number or as text."""
    if value is None:
        return None
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or len(text) > 5 or int(text) > most:
        raise Refusal(400, f"Invalid value for {kind} {text:.40}.")
    return int(text)


GROUPS = Resource(
    resources_pb2.SecurityGroup, SecurityGroupServiceStub, messages, "security_group", view,
    creates=SHARED, updates=SHARED, others=frozenset({"stateful"}), also=_stateful,
)  # fmt: skip
RULES = Resource(
    resources_pb2.SecurityGroupRule, SecurityGroupServiceStub, messages, "security_group_rule", rule_view,
    creates=_RULE, updates={}, others=_MATCH, also=_matching,
)  # fmt: skip
ROUTES = (*GROUPS.routes(), *RULES.routes())
