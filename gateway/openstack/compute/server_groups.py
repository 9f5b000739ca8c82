"""Server groups."""

from collections.abc import Mapping
from typing import Any

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute.servers import named
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.limits import whole
from mesh.lists import walk
from weft.compute.v1 import server_group_service_pb2 as pb
from weft.compute.v1.resources_pb2 import ServerGroup, ServerGroupPolicy
from weft.compute.v1.server_group_service_pb2_grpc import ServerGroupServiceStub


def view(call: Call, one: ServerGroup) -> dict[str, Any]:
    """As Nova shows it: until 2.63 by a list of policies, which always had one."""
    version, policy = call.microversion, ServerGroupPolicy.Name(one.policy)
    policy = policy.removeprefix("SERVER_GROUP_POLICY_").lower().replace("_", "-")
    document: dict[str, Any] = {"id": one.id, "name": one.name, "members": list(one.server_ids)}
    if version >= (2, 13):
        document |= {"project_id": one.project_id, "user_id": one.user_id}
    if version < (2, 64):
        return document | {"policies": [policy], "metadata": {}}
    most = one.max_servers_per_host
    return document | {"policy": policy, "rules": {"max_server_per_host": most} if most else {}}


async def index(call: Call) -> dict[str, Any]:
    """GET /os-server-groups."""
    if call.flag("all_projects"):
        await call.administer()
    rpc = call.stub(ServerGroupServiceStub).ListServerGroups
    found = [one async for one in walk(rpc, pb.ListServerGroupsRequest(), "server_groups")]
    begin = whole(call.query.get("offset", 0), "offset", 0)
    limit = whole(call.query.get("limit", 0), "limit", 0) or len(found)
    return {"server_groups": [view(call, one) for one in found[begin : begin + limit]]}


async def show(call: Call) -> dict[str, Any]:
    """GET /os-server-groups/{id}."""
    request = pb.GetServerGroupRequest(id=call.params["id"])
    return {"server_group": view(call, await call.stub(ServerGroupServiceStub).GetServerGroup(request))}


async def create(call: Call) -> dict[str, Any]:
    """POST /os-server-groups."""
    given, new = await call.body("server_group"), call.microversion >= (2, 64)
    body.refuse_unknown(given, {"name", *(("policy", "rules") if new else ("policies",))})
    rules = body.field(given, "rules", dict, {})
    body.refuse_unknown(rules, {"max_server_per_host"})
    most = whole(rules["max_server_per_host"], "max_server_per_host", 1) if rules else 0
    policy = _policy(call, given)
    if most and policy != ServerGroupPolicy.SERVER_GROUP_POLICY_ANTI_AFFINITY:
        raise Refusal(400, "rules: only of the policy anti-affinity.")
    request = pb.CreateServerGroupRequest(
        name=named(body.field(given, "name", str)), policy=policy, max_servers_per_host=most
    )
    return {"server_group": view(call, await call.stub(ServerGroupServiceStub).CreateServerGroup(request))}


async def delete(call: Call) -> None:
    """DELETE /os-server-groups/{id}."""
    request = pb.DeleteServerGroupRequest(id=call.params["id"])
    await call.stub(ServerGroupServiceStub).DeleteServerGroup(request)


def _policy(call: Call, given: Mapping[str, Any]) -> ServerGroupPolicy:
    if call.microversion >= (2, 64):
        wanted = [body.field(given, "policy", str)]
    else:
        wanted = body.strings(body.field(given, "policies", list))
    known = ["affinity", "anti-affinity"]
    if call.microversion >= (2, 15):
        known += ["soft-affinity", "soft-anti-affinity"]
    if len(wanted) != 1 or wanted[0] not in known:
        raise Refusal(400, f"A server group has one policy, of {', '.join(known)}.")
    return ServerGroupPolicy.Value(f"SERVER_GROUP_POLICY_{wanted[0].upper().replace('-', '_')}")


_PATH = "/v2.1/os-server-groups"
ROUTES = (
    Route("GET", _PATH, index),
    Route("POST", _PATH, create),
    Route("GET", f"{_PATH}/{{id}}", show, administers=True),
    Route("DELETE", f"{_PATH}/{{id}}", delete, 204, administers=True),
)
