"""What operators look at: services and zones."""

from collections import defaultdict
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.compute import hosts
from gateway.openstack.compute.views import ZONE
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from weft.compute.v1 import host_service_pb2 as pb
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.compute.v1.resources_pb2 import HOST_STATUS_UP, Host


async def zones(call: Call) -> dict[str, Any]:
    """GET /os-availability-zone: for administrators those of all hosts, for others the one without a name."""
    names = {ZONE}
    if call.administers:
        names = {host.availability_zone or ZONE async for host in hosts.listed(call)} or names
    found = [{"zoneName": name, "zoneState": {"available": True}, "hosts": None} for name in sorted(names)]
    return {"availabilityZoneInfo": found}


async def zones_in_detail(call: Call) -> dict[str, Any]:
    """GET /os-availability-zone/detail."""
    by_zone: dict[str, dict[str, Any]] = defaultdict(dict)
    async for host in hosts.listed(call):
        service = {
            "available": host.status == HOST_STATUS_UP,
            "active": not host.disabled,
            "updated_at": times.bare(host.last_seen_at),
        }
        by_zone[host.availability_zone or ZONE][host.name] = {"nova-compute": service}
    found = [
        {"zoneName": name, "zoneState": {"available": True}, "hosts": there}
        for name, there in sorted(by_zone.items())
    ]
    return {"availabilityZoneInfo": found}


async def services(call: Call) -> dict[str, Any]:
    """GET /os-services: one compute service a host."""
    binary, name = call.query.get("binary"), call.query.get("host")
    found = [_service(call, host) async for host in hosts.listed(call)]
    return {
        "services": [one for one in found if binary in (None, one["binary"]) and name in (None, one["host"])]
    }


async def update_service(call: Call) -> dict[str, Any]:
    """PUT /os-services/{id}."""
    given = await call.body()
    body.refuse_unknown(given, {"status", "disabled_reason", "forced_down"})
    if given.get("forced_down"):
        raise Refusal(501, "A host is down when it is silent.")
    status = body.field(given, "status", str)
    if status not in ("enabled", "disabled"):
        raise Refusal(400, f"status: {status!r} is not one of enabled, disabled.")
    reason = body.field(given, "disabled_reason", str, "")
    return {"service": _service(call, await _set(call, call.params["id"], status, reason))}


async def set_service(call: Call, status: str, reason: str = "") -> dict[str, Any]:
    """PUT /os-services/enable, PUT /os-services/disable: as it was until 2.53, by host and binary."""
    host = await hosts.named(call, body.field(await call.body(), "host", str))
    if (await call.body()).get("binary") != "nova-compute":
        raise Refusal(404, "There is no such service on the host.")
    await _set(call, host.id, status, reason)
    said = {"host": host.name, "binary": "nova-compute", "status": status}
    return {"service": said | ({"disabled_reason": reason} if reason else {})}


async def disable_with_a_reason(call: Call) -> dict[str, Any]:
    """PUT /os-services/disable-log-reason."""
    return await set_service(call, "disabled", body.field(await call.body(), "disabled_reason", str))


async def _set(call: Call, id: str, status: str, reason: str) -> Host:
    request = pb.UpdateHostRequest(
        id=id,
        host=Host(disabled=status == "disabled", disabled_reason=reason),
        update_mask=FieldMask(paths=["disabled", "disabled_reason"]),
    )
    return await call.stub(HostServiceStub).UpdateHost(request)


def _service(call: Call, host: Host) -> dict[str, Any]:
    document = {
        "id": hosts.id_of(call, host),
        "binary": "nova-compute",
        "host": host.name,
        "zone": host.availability_zone or ZONE,
        "status": "disabled" if host.disabled else "enabled",
        "state": "up" if host.status == HOST_STATUS_UP else "down",
        "updated_at": times.bare(host.last_seen_at),
        "disabled_reason": host.disabled_reason or None,
    }
    return document | ({"forced_down": False} if call.microversion >= (2, 11) else {})


def _administered(method: str, path: str, handler: Any, since: tuple[int, int] = (0, 0)) -> Route:
    return Route(method, f"/v2.1/{path}", handler, administers=True, since=since)


ROUTES = (
    _administered("GET", "os-availability-zone", zones),
    _administered("GET", "os-availability-zone/detail", zones_in_detail),
    _administered("GET", "os-services", services),
    _administered("PUT", "os-services/enable", lambda call: set_service(call, "enabled")),
    _administered("PUT", "os-services/disable", lambda call: set_service(call, "disabled")),
    _administered("PUT", "os-services/disable-log-reason", disable_with_a_reason),
    _administered("PUT", "os-services/{id}", update_service, (2, 53)),
)
