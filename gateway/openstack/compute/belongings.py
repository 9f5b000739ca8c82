"""What a server has: addresses, tags, security groups."""

from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute import servers, views
from gateway.openstack.compute.surroundings import around, ports
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from mesh.lists import walk
from weft.compute.v1 import password_service_pb2
from weft.compute.v1.password_service_pb2_grpc import PasswordServiceStub
from weft.network.v1 import security_group_service_pb2
from weft.network.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub


async def addresses(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/ips."""
    return {"addresses": await _addresses(call)}


async def addresses_on(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/ips/{network}."""
    found, name = await _addresses(call), call.params["network"]
    if name not in found:
        raise Refusal(404, f"The server is on no network {name}.")
    return {name: found[name]}


async def _addresses(call: Call) -> dict[str, Any]:
    one = await servers.get(call)
    found = views.addresses(one, (await around(call, [one])).of(one))
    return {name: views.bare(listed) for name, listed in found.items()}


async def tags(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/tags."""
    return {"tags": list((await servers.get(call)).tags)}


async def set_tags(call: Call) -> dict[str, Any]:
    """PUT /servers/{id}/tags."""
    document = await call.body()
    body.refuse_unknown(document, {"tags"})
    given = body.strings(body.field(document, "tags", list, []))
    for tag in given:
        _check(tag)
    changed = await servers.change(call, {"tags": list(dict.fromkeys(given))})
    return {"tags": list(changed.tags)}


async def clear_tags(call: Call) -> None:
    """DELETE /servers/{id}/tags."""
    await servers.change(call, {"tags": []})


async def tag(call: Call) -> None:
    """GET /servers/{id}/tags/{tag}."""
    _there(call, list((await servers.get(call)).tags))


async def add_tag(call: Call) -> Response:
    """PUT /servers/{id}/tags/{tag}."""
    one, name = await servers.get(call), call.params["tag"]
    _check(name)
    if name in one.tags:
        return Response(status_code=204)
    await servers.change(call, {"tags": [*one.tags, name]}, one.revision)
    place = call.url(f"/v2.1/servers/{one.id}/tags/{quote(name)}")
    return Response(status_code=201, headers={"location": place})


async def remove_tag(call: Call) -> None:
    """DELETE /servers/{id}/tags/{tag}."""
    one = await servers.get(call)
    name = _there(call, list(one.tags))
    await servers.change(call, {"tags": [each for each in one.tags if each != name]}, one.revision)


def _there(call: Call, there: list[str]) -> str:
    name = call.params["tag"]
    if name not in there:
        raise Refusal(404, f"The server has no tag {name!r}.")
    return name


def _check(tag: Any) -> None:
    if not isinstance(tag, str) or not 0 < len(tag) <= 60 or "/" in tag or "," in tag:
        raise Refusal(400, f"{tag!r} is no tag: 1 to 60 characters, without / and ,.")


async def groups(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/os-security-groups."""
    one = await servers.get(call)
    there = {id for port in await ports(call, one.id) for id in port.security_group_ids}
    rpc = call.stub(SecurityGroupServiceStub).ListSecurityGroups
    found = walk(rpc, security_group_service_pb2.ListSecurityGroupsRequest(), "security_groups")
    return {
        "security_groups": [
            {
                "id": group.id,
                "name": group.name,
                "description": group.description,
                "tenant_id": group.project_id,
                "rules": [],
            }
            async for group in found
            if group.id in there
        ]
    }


async def password(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/os-server-password: empty where its guest has left none."""
    request = password_service_pb2.GetPasswordRequest(server_id=call.params["id"])
    return {"password": (await call.stub(PasswordServiceStub).GetPassword(request)).encrypted}


async def forget_password(call: Call) -> None:
    """DELETE /servers/{id}/os-server-password."""
    request = password_service_pb2.ClearPasswordRequest(server_id=call.params["id"])
    await call.stub(PasswordServiceStub).ClearPassword(request)


_TAGS = (2, 26)
ROUTES = (
    Route("GET", "/v2.1/servers/{id}/ips", addresses),
    Route("GET", "/v2.1/servers/{id}/ips/{network}", addresses_on),
    Route("GET", "/v2.1/servers/{id}/tags", tags, since=_TAGS),
    Route("PUT", "/v2.1/servers/{id}/tags", set_tags, since=_TAGS),
    Route("DELETE", "/v2.1/servers/{id}/tags", clear_tags, 204, since=_TAGS),
    Route("GET", "/v2.1/servers/{id}/tags/{tag}", tag, 204, since=_TAGS),
    Route("PUT", "/v2.1/servers/{id}/tags/{tag}", add_tag, since=_TAGS),
    Route("DELETE", "/v2.1/servers/{id}/tags/{tag}", remove_tag, 204, since=_TAGS),
    Route("GET", "/v2.1/servers/{id}/os-security-groups", groups),
    Route("GET", "/v2.1/servers/{id}/os-server-password", password),
    Route("DELETE", "/v2.1/servers/{id}/os-server-password", forget_password, 204),
)
