"""What operators look at: hypervisors, services, zones."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.compute.views import ZONE
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.lists import walk
from weft.compute.v1 import host_service_pb2 as pb
from weft.compute.v1 import server_service_pb2
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.compute.v1.resources_pb2 import HOST_STATUS_UP, Host, Server
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub

# The last that tells what is used; from then on Placement does.
_TELLS_USE = (2, 87)


async def zones(call: Call) -> dict[str, Any]:
    """GET /os-availability-zone: for administrators those of all hosts, for others the one without a name."""
    names = {ZONE}
    if call.administers:
        names = {host.availability_zone or ZONE async for host in _hosts(call)} or names
    found = [{"zoneName": name, "zoneState": {"available": True}, "hosts": None} for name in sorted(names)]
    return {"availabilityZoneInfo": found}


async def zones_in_detail(call: Call) -> dict[str, Any]:
    """GET /os-availability-zone/detail."""
    by_zone: dict[str, dict[str, Any]] = defaultdict(dict)
    async for host in _hosts(call):
        service = {
            "available": host.status == HOST_STATUS_UP,
            "active": not host.disabled,
            "updated_at": times.bare(host.last_seen_at),
        }
        by_zone[host.availability_zone or ZONE][host.name] = {"nova-compute": service}
    found = [
        {"zoneName": name, "zoneState": {"available": True}, "hosts": hosts}
        for name, hosts in sorted(by_zone.items())
    ]
    return {"availabilityZoneInfo": found}


async def services(call: Call) -> dict[str, Any]:
    """GET /os-services: one compute service a host."""
    binary, name = call.query.get("binary"), call.query.get("host")
    found = [_service(call, host) async for host in _hosts(call)]
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
    request = pb.UpdateHostRequest(
        id=call.params["id"],
        host=Host(disabled=status == "disabled", disabled_reason=reason),
        update_mask=FieldMask(paths=["disabled", "disabled_reason"]),
    )
    return {"service": _service(call, await call.stub(HostServiceStub).UpdateHost(request))}


def _service(call: Call, host: Host) -> dict[str, Any]:
    document = {
        "id": host.id,
        "binary": "nova-compute",
        "host": host.name,
        "zone": host.availability_zone or ZONE,
        "status": "disabled" if host.disabled else "enabled",
        "state": "up" if host.status == HOST_STATUS_UP else "down",
        "updated_at": times.bare(host.last_seen_at),
        "disabled_reason": host.disabled_reason or None,
    }
    return document | ({"forced_down": False} if call.microversion >= (2, 11) else {})


async def hypervisors(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors."""
    return {"hypervisors": [_brief(host) for host in await _matching(call)]}


async def hypervisors_in_detail(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/detail."""
    guests = await _guests(call)
    return {"hypervisors": [_full(call, host, guests[host.id]) for host in await _matching(call)]}


async def hypervisor(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/{id}."""
    host = await call.stub(HostServiceStub).GetHost(pb.GetHostRequest(id=call.params["id"]))
    return {"hypervisor": _full(call, host, (await _guests(call))[host.id])}


async def statistics(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/statistics, until 2.87."""
    if call.microversion > _TELLS_USE:
        raise Refusal(404, "Placement tells what is used.")
    guests, total = await _guests(call), Counter[str]()
    async for host in _hosts(call):
        document = _full(call, host, guests[host.id])
        total.update({name: value for name, value in document.items() if name in _SUMMED})
        total["count"] += 1
    return {"hypervisor_statistics": {name: total[name] for name in ("count", *_SUMMED)}}


_SUMMED = (
    *("vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb"),
    *("free_disk_gb", "current_workload", "running_vms", "disk_available_least"),
)


async def _matching(call: Call) -> list[Host]:
    wanted = call.query.get("hypervisor_hostname_pattern", "")
    found = [host async for host in _hosts(call) if wanted in host.name]
    if wanted and not found:
        raise Refusal(404, f"No hypervisor matching {wanted!r} could be found.")
    return found


def _brief(host: Host) -> dict[str, Any]:
    return {
        "id": host.id,
        "hypervisor_hostname": host.name,
        "state": "up" if host.status == HOST_STATUS_UP else "down",
        "status": "disabled" if host.disabled else "enabled",
    }


def _full(call: Call, host: Host, guests: Iterable[Server]) -> dict[str, Any]:
    document = _brief(host) | {
        "hypervisor_type": host.hypervisor,
        "hypervisor_version": _number(host.versions.get("qemu", "")),
        "host_ip": None if host.address.startswith("unix:") else host.address.rpartition(":")[0],
        "service": {"id": host.id, "host": host.name, "disabled_reason": host.disabled_reason or None},
    }
    return document | (_use(host, list(guests)) if call.microversion <= _TELLS_USE else {"uptime": None})


def _use(host: Host, guests: list[Server]) -> Mapping[str, Any]:
    vcpus = sum(one.flavor.vcpus for one in guests)
    memory = sum(one.flavor.memory_mib for one in guests)
    disk = sum(one.flavor.disk_gib + one.flavor.ephemeral_gib for one in guests)
    return {
        "vcpus": host.vcpus,
        "memory_mb": host.memory_mib,
        "local_gb": host.disk_gib,
        "vcpus_used": vcpus,
        "memory_mb_used": memory,
        "local_gb_used": disk,
        "free_ram_mb": host.memory_mib - memory,
        "free_disk_gb": host.disk_gib - disk,
        "disk_available_least": host.disk_gib - disk,
        "running_vms": len(guests),
        "current_workload": sum(bool(one.operation_id) for one in guests),
        "cpu_info": "",
    }


def _number(version: str) -> int:
    """`7.2.1` → 7002001, as libvirt writes versions."""
    parts = [int(part) for part in version.split(".")[:3] if part.isdecimal()]
    return sum(part * 1000**power for part, power in zip(parts, (2, 1, 0), strict=False))


async def _guests(call: Call) -> Mapping[str, list[Server]]:
    found: dict[str, list[Server]] = defaultdict(list)
    rpc = call.stub(ServerServiceStub).ListServers
    async for one in walk(rpc, server_service_pb2.ListServersRequest(), "servers"):
        found[one.host_id].append(one)
    return found


def _hosts(call: Call) -> Any:
    return walk(call.stub(HostServiceStub).ListHosts, pb.ListHostsRequest(), "hosts")


def _administered(path: str, handler: Any) -> Route:
    return Route("GET", f"/v2.1/{path}", handler, administers=True)


ROUTES = (
    _administered("os-availability-zone", zones),
    _administered("os-availability-zone/detail", zones_in_detail),
    _administered("os-services", services),
    Route("PUT", "/v2.1/os-services/{id}", update_service, administers=True, since=(2, 53)),
    _administered("os-hypervisors", hypervisors),
    _administered("os-hypervisors/detail", hypervisors_in_detail),
    _administered("os-hypervisors/statistics", statistics),
    _administered("os-hypervisors/{id}", hypervisor),
)
