"""New servers."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute import devices, views
from gateway.openstack.compute.servers import address, check_disk_config, named
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.keyed import texts
from gateway.openstack.limits import whole
from mesh.errors import CloudError
from weft.compute.v1 import host_service_pb2
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub

# By the microversion that brought them.
_FIELDS: dict[tuple[int, int], set[str]] = {
    (2, 1): {
        *("name", "imageRef", "flavorRef", "adminPass", "metadata", "networks", "OS-DCF:diskConfig"),
        *("accessIPv4", "accessIPv6", "security_groups", "key_name", "user_data", "availability_zone"),
        *("block_device_mapping_v2", "config_drive", "min_count", "max_count", "return_reservation_id"),
    },
    (2, 19): {"description"},
    (2, 52): {"tags"},
    (2, 63): {"trusted_image_certificates"},
    (2, 74): {"host", "hypervisor_hostname"},
    (2, 90): {"hostname"},
}
# What weft has not, and so does not promise by taking it.
_REFUSED = {
    "return_reservation_id": "Servers that are made together have nothing in common.",
    "trusted_image_certificates": "Images are not signed.",
    "hostname": "The host name is made of the server's name.",
}
_HINTS = ("OS-SCH-HNT:scheduler_hints", "os:scheduler_hints")


async def create(call: Call) -> Response:
    """POST /servers."""
    document = await call.body()
    body.refuse_unknown(document, {"server", *_HINTS})
    given = body.field(document, "server", dict)
    _check(call, given)
    request = pb.CreateServerRequest(
        name=named(body.field(given, "name", str)),
        flavor_id=_last(given.get("flavorRef")),
        security_groups=_groups(body.field(given, "security_groups", list, [])),
        key_name=body.field(given, "key_name", str, ""),
        user_data=decoded(body.field(given, "user_data", str, "")),
        config_drive=body.truth(given.get("config_drive") or False, "config_drive"),
        metadata=texts(body.field(given, "metadata", dict, {}), "metadata"),
        tags=body.strings(body.field(given, "tags", list, [])),
        description=body.field(given, "description", str, ""),
        access_ipv4=address(given, "accessIPv4"),
        access_ipv6=address(given, "accessIPv6"),
        **_hints(document),
    )
    devices.boot(given, request)
    devices.networks(call, given, request)
    await _place(call, given, request)
    made = await _made(call, request, *_count(given))
    shown = {
        "id": made.id,
        "links": views.links(call, f"servers/{made.id}"),
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": [{"name": name} for name in request.security_groups or ["default"]],
    }
    place = call.url(f"/v2.1/servers/{made.id}")
    # By which os-instance-actions tells what became of it.
    headers = {"location": place, "x-openstack-request-id": f"req-{made.operation_id}"}
    return Response(orjson.dumps({"server": shown}), 202, headers, media_type="application/json")


def _hints(document: Mapping[str, Any]) -> dict[str, Any]:
    """Where it is to be by other servers. Other hints are not heeded, and so not taken."""
    hints = {name: hint for key in _HINTS for name, hint in body.field(document, key, dict, {}).items()}
    if others := sorted(hints.keys() - {"group", "same_host", "different_host"}):
        raise Refusal(501, f"Servers are not placed by the scheduler hints {', '.join(others)}.")
    return {
        "server_group_id": body.field(hints, "group", str, ""),
        "same_host_server_ids": _servers(hints, "same_host"),
        "different_host_server_ids": _servers(hints, "different_host"),
    }


def _servers(hints: Mapping[str, Any], name: str) -> list[str]:
    """Nova takes one id as well as a list of them."""
    given = hints.get(name) or []
    return body.strings([given] if isinstance(given, str) else body.field(hints, name, list, []))


def _check(call: Call, given: Mapping[str, Any]) -> None:
    known = {name for since, names in _FIELDS.items() if call.microversion >= since for name in names}
    if call.microversion < (2, 57) and given.get("personality"):
        raise Refusal(501, "Files are not put into guests: use user_data.")
    body.refuse_unknown(given, known | ({"personality"} if call.microversion < (2, 57) else set()))
    for name, why in _REFUSED.items():
        if given.get(name):
            raise Refusal(501, f"{name}: {why}")
    check_disk_config(given)


def _count(given: Mapping[str, Any]) -> tuple[int, int]:
    """How many servers at least, and at most."""
    least = whole(given.get("min_count", 1), "min_count", 1)
    most = whole(given.get("max_count", least), "max_count", 1)
    if least > most:
        raise Refusal(400, "min_count must be <= max_count.")
    return least, most


async def _made(call: Call, request: pb.CreateServerRequest, least: int, most: int) -> Server:
    """The first of the servers: as many as there may be, or none where those are too few."""
    stub, name, made = call.stub(ServerServiceStub), request.name, list[Server]()
    try:
        for number in range(1, most + 1):
            request.name = f"{name}-{number}" if most > 1 else name
            made.append(await stub.CreateServer(request))
    except CloudError as error:
        if error.reason == "QUOTA_EXCEEDED" and len(made) >= least:
            return made[0]
        for one in made:
            await stub.DeleteServer(pb.DeleteServerRequest(id=one.id))
        if error.reason == "NOT_FOUND":  # what it is to be made of, which Nova calls a bad request
            raise Refusal(400, error.message) from error
        raise
    return made[0]


def _last(reference: Any) -> str:
    """An id, also as the last part of an address."""
    if not isinstance(reference, str | int) or isinstance(reference, bool):
        raise Refusal(400, "flavorRef is a required property.")
    return str(reference).rstrip("/").rpartition("/")[2]


def _groups(given: list[Any]) -> list[str]:
    return [body.field(one, "name", str) for one in given]


def decoded(text: str) -> bytes:
    """User data. Raises Refusal where it is not Base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, "user_data: must be Base64.") from error


async def _place(call: Call, given: Mapping[str, Any], request: pb.CreateServerRequest) -> None:
    """Zone and host. A host is named in the zone (`nova:host`), or by itself from 2.74 on."""
    zone, _, host = body.field(given, "availability_zone", str, "").partition(":")
    request.availability_zone = "" if zone == views.ZONE else zone
    wanted = {body.field(given, name, str, "") for name in ("host", "hypervisor_hostname")} | {host}
    if len(wanted) > 2:
        raise Refusal(400, "host and hypervisor_hostname name two hosts.")
    for name in wanted - {""}:
        request.host_id = await _host(call, name)


async def _host(call: Call, name: str) -> str:
    found = await call.stub(HostServiceStub).ListHosts(host_service_pb2.ListHostsRequest(name=name))
    if not found.hosts:
        raise Refusal(400, f"Compute host {name} could not be found.")
    return found.hosts[0].id


ROUTES = (Route("POST", "/v2.1/servers", create),)
