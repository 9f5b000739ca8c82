"""Hypervisors: what hosts have, and what of it is used."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.compute import hosts
from gateway.openstack.compute.past import until
from gateway.openstack.dialect import Handler, Route
from gateway.openstack.faults import Refusal
from mesh.lists import walk
from weft.compute.v1 import server_service_pb2
from weft.compute.v1.resources_pb2 import HOST_STATUS_UP, Host, Server
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub

# The last that tells what is used; from then on Placement does.
_TELLS_USE = (2, 87)
# The last that searches in calls of its own; from then on the list is filtered.
_SEARCHES = (2, 52)
Guests = Mapping[str, list[Server]]


async def index(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors."""
    found, guests = await _matching(call), await _guests(call) if _with_servers(call) else {}
    return {"hypervisors": [_brief(call, host) | _servers(call, guests, host) for host in found]}


async def detail(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/detail."""
    guests = await _guests(call)
    return {"hypervisors": [_full(call, host, guests) for host in await _matching(call)]}


async def show(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/{id}."""
    host = await hosts.by_id(call, call.params["id"])
    return {"hypervisor": _full(call, host, await _guests(call))}


async def uptime(call: Call) -> None:
    """GET /os-hypervisors/{id}/uptime."""
    await hosts.by_id(call, call.params["id"])
    raise Refusal(501, "How long hosts run is not kept: os-services tells whether they live.")


async def search(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/{pattern}/search."""
    return {"hypervisors": [_brief(call, host) for host in await _with_text(call, call.params["text"])]}


async def servers(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/{pattern}/servers."""
    found, guests = await _with_text(call, call.params["text"]), await _guests(call)
    return {"hypervisors": [_brief(call, host) | _named(guests[host.id]) for host in found]}


async def statistics(call: Call) -> dict[str, Any]:
    """GET /os-hypervisors/statistics, until 2.87."""
    if call.microversion > _TELLS_USE:
        raise Refusal(404, "Placement tells what is used.")
    guests, total = await _guests(call), Counter[str]()
    async for host in hosts.listed(call):
        document = _full(call, host, guests)
        total.update({name: value for name, value in document.items() if name in _SUMMED})
        total["count"] += 1
    return {"hypervisor_statistics": {name: total[name] for name in ("count", *_SUMMED)}}


_SUMMED = (
    *("vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb"),
    *("free_disk_gb", "current_workload", "running_vms", "disk_available_least"),
)


async def _matching(call: Call) -> list[Host]:
    return await _with_text(call, call.query.get("hypervisor_hostname_pattern", ""))


async def _with_text(call: Call, wanted: str) -> list[Host]:
    found = [host async for host in hosts.listed(call) if wanted in host.name]
    if wanted and not found:
        raise Refusal(404, f"No hypervisor matching {wanted!r} could be found.")
    return found


def _with_servers(call: Call) -> bool:
    return call.microversion > _SEARCHES and bool(call.flag("with_servers"))


def _servers(call: Call, guests: Guests, host: Host) -> dict[str, Any]:
    return _named(guests[host.id]) if _with_servers(call) else {}


def _named(guests: Iterable[Server]) -> dict[str, Any]:
    """The guests of a host; there is no word of it where there are none."""
    found = [{"name": one.id, "uuid": one.id} for one in guests]
    return {"servers": found} if found else {}


def _brief(call: Call, host: Host) -> dict[str, Any]:
    return {
        "id": hosts.id_of(call, host),
        "hypervisor_hostname": host.name,
        "state": "up" if host.status == HOST_STATUS_UP else "down",
        "status": "disabled" if host.disabled else "enabled",
    }


def _full(call: Call, host: Host, guests: Guests) -> dict[str, Any]:
    id = hosts.id_of(call, host)
    document = _brief(call, host) | {
        "hypervisor_type": host.hypervisor,
        "hypervisor_version": _number(host.versions.get("qemu", "")),
        "host_ip": None if host.address.startswith("unix:") else host.address.rpartition(":")[0],
        "service": {"id": id, "host": host.name, "disabled_reason": host.disabled_reason or None},
    }
    document |= _servers(call, guests, host)
    return document | (_use(host, guests[host.id]) if call.microversion <= _TELLS_USE else {"uptime": None})


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


async def _guests(call: Call) -> Guests:
    found: dict[str, list[Server]] = defaultdict(list)
    rpc = call.stub(ServerServiceStub).ListServers
    async for one in walk(rpc, server_service_pb2.ListServersRequest(), "servers"):
        found[one.host_id].append(one)
    return found


def _route(path: str, handler: Handler) -> Route:
    return Route("GET", f"/v2.1/os-hypervisors{path}", handler, administers=True)


def _search(path: str, handler: Handler) -> Route:
    return _route(path, until(handler, _SEARCHES, "From 2.53 on the list is filtered."))


ROUTES = (
    _route("", index),
    _route("/detail", detail),
    _route("/statistics", statistics),
    _route("/{id}", show),
    _route("/{id}/uptime", uptime),
    _search("/{text}/search", search),
    _search("/{text}/servers", servers),
)
