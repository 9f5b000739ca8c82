"""Servers: listed, shown, renamed, deleted."""

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute import filters, views
from gateway.openstack.compute.surroundings import Surroundings, around
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.keyed import Keyed
from gateway.openstack.listing import listing
from gateway.openstack.lists import walk
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub


async def index(call: Call) -> dict[str, Any]:
    """GET /servers."""
    return await _listed(call, Surroundings(), await _found(call), views.brief)


async def detail(call: Call) -> dict[str, Any]:
    """GET /servers/detail."""
    found = await _found(call)
    return await _listed(call, await around(call, found), found, None)


async def _found(call: Call) -> list[Server]:
    if call.flag("all_tenants"):
        await call.administer()
    fits = filters.fits(call)
    if filters.nothing_fits(call):
        return []
    rpc = call.stub(ServerServiceStub).ListServers
    return [one async for one in walk(rpc, filters.request(call), "servers") if fits(one)]


async def _listed(call: Call, near: Surroundings, found: list[Server], brief: Any) -> dict[str, Any]:
    async def walked() -> AsyncIterator[Server]:
        for one in found:
            yield one

    def shown(one: Server) -> dict[str, Any]:
        return views.server(call, one, near)

    return await listing(call, walked(), "servers", shown, brief, filters.SORTS)


async def show(call: Call) -> dict[str, Any]:
    """GET /servers/{id}."""
    return await document(call, await get(call))


async def update(call: Call) -> dict[str, Any]:
    """PUT /servers/{id}: its name and description."""
    given = await call.body("server")
    known = {"name"} | ({"description"} if call.microversion >= (2, 19) else set())
    body.refuse_unknown(given, known)
    if not given:
        raise Refusal(400, "The body changes nothing.")
    values = {name: body.field(given, name, str, "") for name in given}
    if "name" in values:
        values["name"] = named(values["name"])
    return await document(call, await change(call, values))


async def delete(call: Call) -> None:
    """DELETE /servers/{id}."""
    await call.stub(ServerServiceStub).DeleteServer(pb.DeleteServerRequest(id=call.params["id"]))


async def get(call: Call) -> Server:
    """The server of the path."""
    return await call.stub(ServerServiceStub).GetServer(pb.GetServerRequest(id=call.params["id"]))


async def change(call: Call, values: dict[str, Any], revision: int = 0) -> Server:
    """Set fields of it, if it is still of that revision (0: whichever)."""
    request = pb.UpdateServerRequest(
        id=call.params["id"],
        server=Server(**values),
        update_mask=FieldMask(paths=list(values)),
        expected_revision=revision,
    )
    return await call.stub(ServerServiceStub).UpdateServer(request)


async def document(call: Call, one: Server) -> dict[str, Any]:
    """One in full."""
    return {"server": views.server(call, one, await around(call, [one]))}


def named(name: str) -> str:
    """A name without the blanks around it. Raises Refusal for one of nothing else."""
    if not name.strip() or len(name) > 255:
        raise Refusal(400, "name: must have from 1 to 255 characters that are not all blank.")
    return name.strip()


ROUTES = (
    Route("GET", "/v2.1/servers", index),
    Route("GET", "/v2.1/servers/detail", detail),
    Route("GET", "/v2.1/servers/{id}", show, administers=True),
    Route("PUT", "/v2.1/servers/{id}", update, administers=True),
    Route("DELETE", "/v2.1/servers/{id}", delete, 204, administers=True),
    *Keyed("/v2.1/servers/{id}/metadata", "metadata", "meta", get, change, 204).routes(),
)
