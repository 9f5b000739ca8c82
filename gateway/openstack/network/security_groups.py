"""Security groups and their rules."""

from typing import Any

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.fields import Field, changes
from gateway.openstack.network.common import common
from gateway.openstack.network.creating import creating
from gateway.openstack.network.listing import listing, selected
from weft.network.v1 import resources_pb2
from weft.network.v1 import security_group_service_pb2 as messages
from weft.network.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub

_UPDATE = {"name": Field("name", str), "description": Field("description", str)}
_DIRECTIONS = {"ingress": resources_pb2.DIRECTION_INGRESS, "egress": resources_pb2.DIRECTION_EGRESS}
_VERSIONS = {"IPv4": 4, "IPv6": 6}
_RULE = {
    "security_group_id", "direction", "ethertype", "protocol", "port_range_min", "port_range_max",
    "remote_ip_prefix", "remote_group_id", "description",
}  # fmt: skip


def view(group: resources_pb2.SecurityGroup) -> dict[str, Any]:
    """As Neutron shows it, with its rules."""
    return common(group) | {
        "name": group.name,
        "stateful": group.stateful,
        "shared": False,
        "security_group_rules": [rule_view(rule) for rule in group.rules],
        "tags": [],
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


async def index(call: Call) -> dict[str, Any]:
    """GET /security-groups."""
    rpc = call.stub(SecurityGroupServiceStub).ListSecurityGroups
    request, items = messages.ListSecurityGroupsRequest(), "security_groups"
    return await listing(call, rpc, request, items, items, view)


async def show(call: Call) -> dict[str, Any]:
    """GET /security-groups/{id}."""
    request = messages.GetSecurityGroupRequest(id=call.params["id"])
    group = await call.stub(SecurityGroupServiceStub).GetSecurityGroup(request)
    return {"security_group": selected(call, view(group))}


async def create(call: Call) -> dict[str, Any]:
    """POST /security-groups. All groups are stateful; one that must not be is refused."""
    given = await call.body("security_group")
    body.refuse_unknown(given, {*_UPDATE, "stateful"})
    if not body.field(given, "stateful", bool, True):
        raise Refusal(501, "Security groups without state are not supported.")
    request = messages.CreateSecurityGroupRequest(
        name=body.field(given, "name", str), description=body.field(given, "description", str, "")
    )
    return {"security_group": view(await call.stub(SecurityGroupServiceStub).CreateSecurityGroup(request))}


async def update(call: Call) -> dict[str, Any]:
    """PUT /security-groups/{id}."""
    values, mask = changes(await call.body("security_group"), _UPDATE)
    request = messages.UpdateSecurityGroupRequest(
        id=call.params["id"], security_group=resources_pb2.SecurityGroup(**values), update_mask=mask
    )
    return {"security_group": view(await call.stub(SecurityGroupServiceStub).UpdateSecurityGroup(request))}


async def delete(call: Call) -> None:
    """DELETE /security-groups/{id}."""
    request = messages.DeleteSecurityGroupRequest(id=call.params["id"])
    await call.stub(SecurityGroupServiceStub).DeleteSecurityGroup(request)


async def rules(call: Call) -> dict[str, Any]:
    """GET /security-group-rules."""
    rpc = call.stub(SecurityGroupServiceStub).ListSecurityGroupRules
    request, items = messages.ListSecurityGroupRulesRequest(), "security_group_rules"
    return await listing(call, rpc, request, items, items, rule_view)


async def show_rule(call: Call) -> dict[str, Any]:
    """GET /security-group-rules/{id}."""
    request = messages.GetSecurityGroupRuleRequest(id=call.params["id"])
    rule = await call.stub(SecurityGroupServiceStub).GetSecurityGroupRule(request)
    return {"security_group_rule": selected(call, rule_view(rule))}


async def create_rule(call: Call) -> dict[str, Any]:
    """POST /security-group-rules."""
    given = await call.body("security_group_rule")
    body.refuse_unknown(given, _RULE)
    protocol = given.get("protocol")
    request = messages.CreateSecurityGroupRuleRequest(
        security_group_id=body.field(given, "security_group_id", str),
        direction=_of(given, "direction", _DIRECTIONS, ""),
        ip_version=_of(given, "ethertype", _VERSIONS, "IPv4"),
        protocol="" if protocol in (None, "any") else str(protocol),
        port_min=_port(given, "port_range_min"),
        port_max=_port(given, "port_range_max"),
        remote_cidr=body.field(given, "remote_ip_prefix", str, ""),
        remote_group_id=body.field(given, "remote_group_id", str, ""),
        description=body.field(given, "description", str, ""),
    )
    rule = await call.stub(SecurityGroupServiceStub).CreateSecurityGroupRule(request)
    return {"security_group_rule": rule_view(rule)}


async def delete_rule(call: Call) -> None:
    """DELETE /security-group-rules/{id}."""
    request = messages.DeleteSecurityGroupRuleRequest(id=call.params["id"])
    await call.stub(SecurityGroupServiceStub).DeleteSecurityGroupRule(request)


def _of(given: dict[str, Any], name: str, known: dict[str, int], default: str) -> int:
    value = body.field(given, name, str, default)
    if value not in known:
        raise Refusal(400, f"{name}: {value!r} is not one of {', '.join(known)}.")
    return known[value]


def _port(given: dict[str, Any], name: str) -> int | None:
    """A port of a rule; clients send it as a number or as text."""
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not str(value).isdecimal() or len(str(value)) > 5:
        raise Refusal(400, f"{name}: {value!r} is not a port.")
    return int(value)


ROUTES = (
    Route("GET", "/v2.0/security-groups", index),
    Route(
        "POST", "/v2.0/security-groups", creating("security_group", "security_groups", create, delete), 201
    ),
    Route("GET", "/v2.0/security-groups/{id}", show),
    Route("PUT", "/v2.0/security-groups/{id}", update),
    Route("DELETE", "/v2.0/security-groups/{id}", delete, 204),
    Route("GET", "/v2.0/security-group-rules", rules),
    Route(
        "POST",
        "/v2.0/security-group-rules",
        creating("security_group_rule", "security_group_rules", create_rule, delete_rule),
        201,
    ),
    Route("GET", "/v2.0/security-group-rules/{id}", show_rule),
    Route("DELETE", "/v2.0/security-group-rules/{id}", delete_rule, 204),
)
