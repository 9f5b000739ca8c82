"""Users."""

from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call, field
from gateway.openstack.identity import domains, projects
from gateway.openstack.identity.documents import changes, linked, listing
from mesh.lists import walk
from weft.identity.v1 import project_service_pb2, role_service_pb2, token_service_pb2
from weft.identity.v1 import user_service_pb2 as pb
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.identity.v1.resources_pb2 import User
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub
from weft.identity.v1.user_service_pb2_grpc import UserServiceStub

_CHANGEABLE = {"name": str, "description": str, "email": str, "enabled": bool, "default_project_id": str}


def document(call: Call, user: User) -> dict[str, Any]:
    """A user as Keystone shows it."""
    expires = times.micros(user.password_expires_at) if user.HasField("password_expires_at") else None
    shown: dict[str, Any] = {
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        "password_expires_at": expires,
        "options": {},
        "description": user.description,
        "email": user.email,
    }
    if user.default_project_id:
        shown["default_project_id"] = user.default_project_id
    return linked(call, "users", shown)


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/users."""
    domain_id = await domains.id_of(call, call.query.get("domain_id", ""))
    request = pb.ListUsersRequest(domain_id=domain_id, name=call.query.get("name", ""))
    enabled = call.flag("enabled")
    found = walk(call.stub(UserServiceStub).ListUsers, request, "users")
    return listing(
        call, "users", [document(call, each) async for each in found if enabled in (None, each.enabled)]
    )


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/users/{id}."""
    return {"user": document(call, await _get(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/users."""
    body = await call.body("user")
    made = await call.stub(UserServiceStub).CreateUser(
        pb.CreateUserRequest(
            name=field(body, "name", str),
            domain_id=await domains.id_of(call, field(body, "domain_id", str, "")),
            password=field(body, "password", str, ""),
            description=field(body, "description", str, ""),
            email=field(body, "email", str, ""),
            disabled=not field(body, "enabled", bool, True),
            default_project_id=field(body, "default_project_id", str, ""),
        )
    )
    return {"user": document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/users/{id}; a password among the fields is set after them."""
    body = await call.body("user")
    message, mask = changes(body, User(), _CHANGEABLE)
    stub, id = call.stub(UserServiceStub), call.params["id"]
    if mask.paths:
        await stub.UpdateUser(pb.UpdateUserRequest(id=id, user=message, update_mask=mask))
    if body.get("password") is not None:
        await stub.SetPassword(pb.SetPasswordRequest(id=id, password=field(body, "password", str)))
    return {"user": document(call, await _get(call))}


async def delete(call: Call) -> None:
    """DELETE /v3/users/{id}."""
    await call.stub(UserServiceStub).DeleteUser(pb.DeleteUserRequest(id=call.params["id"]))


async def set_password(call: Call) -> None:
    """POST /v3/users/{id}/password: one's own."""
    body = await call.body("user")
    await call.stub(UserServiceStub).SetPassword(
        pb.SetPasswordRequest(
            id=call.params["id"],
            password=field(body, "password", str),
            original_password=field(body, "original_password", str),
        )
    )


async def projects_of(call: Call) -> dict[str, Any]:
    """GET /v3/users/{id}/projects: one's own, or by the assignments that the caller may see."""
    me = await call.stub(TokenServiceStub).GetToken(token_service_pb2.GetTokenRequest())
    if me.user_id == call.params["id"]:
        return await projects.mine(call)
    rpc = call.stub(RoleServiceStub).ListAssignments
    request = role_service_pb2.ListAssignmentsRequest(user_id=call.params["id"])
    ids = {each.project_id: None async for each in walk(rpc, request, "assignments") if each.project_id}
    get = call.stub(ProjectServiceStub).GetProject
    found = [await get(project_service_pb2.GetProjectRequest(id=id)) for id in ids]
    return listing(call, "projects", [projects.document(call, each) for each in found])


async def _get(call: Call) -> User:
    return await call.stub(UserServiceStub).GetUser(pb.GetUserRequest(id=call.params["id"]))
