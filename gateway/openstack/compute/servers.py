"""Servers: listed, shown, renamed, deleted."""

import ipaddress
from collections.abc import Mapping
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
from gateway.openstack.lists import each
from mesh.lists import walk
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub

DISK_CONFIG = "OS-DCF:diskConfig"
_CHANGES = {"name": "name", "description": "description"}
_ADDRESSES = {"accessIPv4": "access_ipv4", "accessIPv6": "access_ipv6"}


async def index(call: Call) -> dict[str, Any]:
    """GET /servers."""
    return await _listed(call, Surroundings(), await _found(call), views.brief)


async def detail(call: Call) -> dict[str, Any]:
    """GET /servers/detail."""
    found = await _found(call)
    return await _listed(call, await around(call, found), found, None)


async def _found(call: Call) -> list[Server]:
    all_of_them = call.query.get("all_tenants") == "" or call.flag("all_tenants")
    if all_of_them and not await call.administer() and call.project_id:
        raise Refusal(403, "all_tenants: only administrators of the cloud see all servers.")
    fits = filters.fits(call)
    if filters.nothing_fits(call):
        return []
    rpc = call.stub(ServerServiceStub).ListServers
    return [one async for one in walk(rpc, filters.request(call), "servers") if fits(one)]


async def _listed(call: Call, near: Surroundings, found: list[Server], brief: Any) -> dict[str, Any]:
    def shown(one: Server) -> dict[str, Any]:
        return views.server(call, one, near)

    return await listing(call, each(found), "servers", shown, brief, filters.SORTS)


async def show(call: Call) -> dict[str, Any]:
    """GET /servers/{id}."""
    return await document(call, await get(call))


async def update(call: Call) -> dict[str, Any]:
    """PUT /servers/{id}: its name, description, and where its user says it is reached."""
    given = await call.body("server")
    old = set() if call.microversion >= (2, 19) else {"description"}
    body.refuse_unknown(given, {*_CHANGES, *_ADDRESSES, DISK_CONFIG} - old)
    check_disk_config(given)
    values = {_CHANGES[name]: body.field(given, name, str, "") for name in given if name in _CHANGES}
    if "name" in values:
        values["name"] = named(values["name"])
    values |= {ours: address(given, name) for name, ours in _ADDRESSES.items() if name in given}
    if not given:
        raise Refusal(400, "The body changes nothing.")
    return await after(call, await change(call, values) if values else await get(call))


async def after(call: Call, one: Server) -> dict[str, Any]:
    """One that was just changed."""
    return {"server": views.changed(call, (await document(call, one))["server"])}


def check_disk_config(given: Mapping[str, Any]) -> None:
    """Raises Refusal where what a guest does with its disk is neither of Nova's two words."""
    if given.get(DISK_CONFIG, "MANUAL") not in ("AUTO", "MANUAL"):
        raise Refusal(400, f"{DISK_CONFIG}: must be AUTO or MANUAL.")


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


def address(given: Mapping[str, Any], name: str) -> str:
    """An address in its shortest form, "" where none is given. Raises Refusal."""
    text = body.field(given, name, str, "")
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError as error:
        raise Refusal(400, f"{name}: {text!r:.60} is no address.") from error


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
