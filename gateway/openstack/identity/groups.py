"""Groups, and who is in them."""

from typing import Any

from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity import domains, users
from gateway.openstack.identity.documents import changes, linked, listing
from mesh.lists import walk
from weft.identity.v1 import group_service_pb2 as pb
from weft.identity.v1 import token_service_pb2
from weft.identity.v1.group_service_pb2_grpc import GroupServiceStub
from weft.identity.v1.resources_pb2 import Group
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

_CHANGEABLE = {"name": str, "description": str}


def _document(call: Call, group: Group) -> dict[str, Any]:
    said = {name: getattr(group, name) for name in ("id", "name", "description", "domain_id")}
    return linked(call, "groups", said)


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/groups."""
    domain_id = await domains.id_of(call, call.query.get("domain_id", ""))
    wanted = pb.ListGroupsRequest(domain_id=domain_id, name=call.query.get("name", ""))
    found = walk(call.stub(GroupServiceStub).ListGroups, wanted, "groups")
    return listing(call, "groups", [_document(call, each) async for each in found])


async def of_user(call: Call) -> dict[str, Any]:
    """GET /v3/users/{id}/groups: one's own, or anybody's for who administers them."""
    stub, id = call.stub(GroupServiceStub), call.params["id"]
    me = await call.stub(TokenServiceStub).GetToken(token_service_pb2.GetTokenRequest())
    if me.user_id == id:
        found = walk(stub.ListMyGroups, pb.ListMyGroupsRequest(), "groups")
    else:
        found = walk(stub.ListGroups, pb.ListGroupsRequest(user_id=id), "groups")
    return listing(call, "groups", [_document(call, each) async for each in found])


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/groups/{id}."""
    found = await call.stub(GroupServiceStub).GetGroup(pb.GetGroupRequest(id=call.params["id"]))
    return {"group": _document(call, found)}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/groups."""
    body = await call.body("group")
    made = await call.stub(GroupServiceStub).CreateGroup(
        pb.CreateGroupRequest(
            name=field(body, "name", str),
            description=field(body, "description", str, ""),
            domain_id=await domains.id_of(call, field(body, "domain_id", str, "")),
        )
    )
    return {"group": _document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/groups/{id}."""
    message, mask = changes(await call.body("group"), Group(), _CHANGEABLE)
    if not mask.paths:
        return await show(call)
    request = pb.UpdateGroupRequest(id=call.params["id"], group=message, update_mask=mask)
    return {"group": _document(call, await call.stub(GroupServiceStub).UpdateGroup(request))}


async def delete(call: Call) -> None:
    """DELETE /v3/groups/{id}."""
    await call.stub(GroupServiceStub).DeleteGroup(pb.DeleteGroupRequest(id=call.params["id"]))


async def members(call: Call) -> dict[str, Any]:
    """GET /v3/groups/{id}/users."""
    request = pb.ListMembersRequest(group_id=call.params["id"])
    found = walk(call.stub(GroupServiceStub).ListMembers, request, "users")
    return listing(call, "users", [users.document(call, each) async for each in found])


async def add(call: Call) -> None:
    """PUT /v3/groups/{id}/users/{user_id}."""
    request = pb.AddMemberRequest(group_id=call.params["id"], user_id=call.params["user_id"])
    await call.stub(GroupServiceStub).AddMember(request)


async def check(call: Call) -> None:
    """HEAD and GET /v3/groups/{id}/users/{user_id}."""
    stub, id = call.stub(GroupServiceStub), call.params["id"]
    await stub.GetGroup(pb.GetGroupRequest(id=id))
    found = walk(stub.ListGroups, pb.ListGroupsRequest(user_id=call.params["user_id"]), "groups")
    if id not in [each.id async for each in found]:
        raise Refusal(404, f"Could not find user {call.params['user_id']} in group {id}.")


async def remove(call: Call) -> None:
    """DELETE /v3/groups/{id}/users/{user_id}."""
    request = pb.RemoveMemberRequest(group_id=call.params["id"], user_id=call.params["user_id"])
    await call.stub(GroupServiceStub).RemoveMember(request)
