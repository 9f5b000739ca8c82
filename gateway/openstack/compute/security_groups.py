"""Security groups as Nova passed them on, until 2.35."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute.past import passed_on
from gateway.openstack.dialect import Handler, Route
from gateway.openstack.faults import Refusal
from gateway.openstack.limits import whole
from mesh.errors import CloudError
from mesh.lists import walk
from weft.network.v1 import resources_pb2
from weft.network.v1 import security_group_service_pb2 as pb
from weft.network.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub


def view(group: resources_pb2.SecurityGroup, names: Mapping[str, str]) -> dict[str, Any]:
    """As Nova showed it: with what is let in. `names` are those of groups by id."""
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project_id,
        "rules": [
            _rule(rule, names) for rule in group.rules if rule.direction == resources_pb2.DIRECTION_INGRESS
        ],
    }


def _rule(rule: resources_pb2.SecurityGroupRule, names: Mapping[str, str]) -> dict[str, Any]:
    named = rule.HasField("port_min")
    document: dict[str, Any] = {
        "id": rule.id,
        "parent_group_id": rule.security_group_id,
        "ip_protocol": rule.protocol or None,
        "from_port": rule.port_min if named else -1 if rule.protocol else None,
        "to_port": rule.port_max if named else -1 if rule.protocol else None,
        "group": {},
        "ip_range": {},
    }
    if id := rule.remote_group_id:
        document["group"] = {"name": names.get(id, id), "tenant_id": rule.project_id}
    else:
        document["ip_range"] = {"cidr": rule.remote_cidr or ("::/0" if rule.ip_version == 6 else "0.0.0.0/0")}
    return document


async def _all(call: Call) -> list[resources_pb2.SecurityGroup]:
    rpc = call.stub(SecurityGroupServiceStub).ListSecurityGroups
    return [one async for one in walk(rpc, pb.ListSecurityGroupsRequest(), "security_groups")]


async def index(call: Call) -> dict[str, Any]:
    """GET /os-security-groups."""
    if call.flag("all_tenants"):
        await call.administer()
    found = await _all(call)
    names = {one.id: one.name for one in found}
    return {"security_groups": [view(one, names) for one in found]}


async def show(call: Call) -> dict[str, Any]:
    """GET /os-security-groups/{id}."""
    request = pb.GetSecurityGroupRequest(id=call.params["id"])
    found = await call.stub(SecurityGroupServiceStub).GetSecurityGroup(request)
    return {"security_group": view(found, {one.id: one.name for one in await _all(call)})}


async def create(call: Call) -> dict[str, Any]:
    """POST /os-security-groups."""
    given = await _described(call)
    made = await call.stub(SecurityGroupServiceStub).CreateSecurityGroup(
        pb.CreateSecurityGroupRequest(**given)
    )
    return {"security_group": view(made, {})}


async def update(call: Call) -> dict[str, Any]:
    """PUT /os-security-groups/{id}."""
    given = await _described(call)
    request = pb.UpdateSecurityGroupRequest(
        id=call.params["id"],
        security_group=resources_pb2.SecurityGroup(**given),
        update_mask=FieldMask(paths=list(given)),
    )
    return {
        "security_group": view(await call.stub(SecurityGroupServiceStub).UpdateSecurityGroup(request), {})
    }


async def _described(call: Call) -> dict[str, str]:
    given = await call.body("security_group")
    body.refuse_unknown(given, {"name", "description"})
    return {"name": body.field(given, "name", str), "description": body.field(given, "description", str, "")}


async def delete(call: Call) -> None:
    """DELETE /os-security-groups/{id}."""
    request = pb.DeleteSecurityGroupRequest(id=call.params["id"])
    await call.stub(SecurityGroupServiceStub).DeleteSecurityGroup(request)


async def create_rule(call: Call) -> dict[str, Any]:
    """POST /os-security-group-rules."""
    given = await call.body("security_group_rule")
    body.refuse_unknown(given, {"parent_group_id", "ip_protocol", "from_port", "to_port", "cidr", "group_id"})
    cidr = body.field(given, "cidr", str, "")
    request = pb.CreateSecurityGroupRuleRequest(
        security_group_id=body.field(given, "parent_group_id", str),
        direction=resources_pb2.DIRECTION_INGRESS,
        ip_version=6 if ":" in cidr else 4,
        protocol=body.field(given, "ip_protocol", str, "").lower(),
        remote_cidr=cidr,
        remote_group_id=body.field(given, "group_id", str, ""),
    )
    for theirs, ours in (("from_port", "port_min"), ("to_port", "port_max")):
        if given.get(theirs) is not None and (port := whole(given[theirs], theirs)) >= 0:
            setattr(request, ours, port)
    made = await call.stub(SecurityGroupServiceStub).CreateSecurityGroupRule(request)
    return {"security_group_rule": _rule(made, {one.id: one.name for one in await _all(call)})}


async def delete_rule(call: Call) -> None:
    """DELETE /os-security-group-rules/{id}."""
    request = pb.DeleteSecurityGroupRuleRequest(id=call.params["id"])
    await call.stub(SecurityGroupServiceStub).DeleteSecurityGroupRule(request)


# What Nova called a bad request of what is there already, or is the default group.
_BAD = ("ALREADY_EXISTS", "WRONG_STATUS")


def _until(handler: Handler) -> Handler:
    async def tried(call: Call) -> Any:
        try:
            return await handler(call)
        except CloudError as error:
            if error.reason not in _BAD:
                raise
            raise Refusal(400, error.message) from error

    return passed_on(tried, "network")


_GROUPS, _RULES = "/v2.1/os-security-groups", "/v2.1/os-security-group-rules"
ROUTES = (
    Route("GET", _GROUPS, _until(index)),
    Route("POST", _GROUPS, _until(create)),
    Route("GET", f"{_GROUPS}/{{id}}", _until(show)),
    Route("PUT", f"{_GROUPS}/{{id}}", _until(update)),
    Route("DELETE", f"{_GROUPS}/{{id}}", _until(delete), 202),
    Route("POST", _RULES, _until(create_rule)),
    Route("DELETE", f"{_RULES}/{{id}}", _until(delete_rule), 202),
)
