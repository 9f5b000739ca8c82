"""Hosts, and how Nova names them: until 2.43 they were a resource, until 2.53 their ids were numbers."""

import uuid
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute.past import until
from gateway.openstack.compute.views import ZONE
from gateway.openstack.dialect import Handler, Route
from gateway.openstack.faults import Refusal
from mesh.lists import walk
from weft.compute.v1 import host_service_pb2 as pb
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.compute.v1.resources_pb2 import Host

_LAST = (2, 42)
_LAST_NUMBERS = (2, 52)


def listed(call: Call) -> Any:
    """All hosts, page after page."""
    return walk(call.stub(HostServiceStub).ListHosts, pb.ListHostsRequest(), "hosts")


async def named(call: Call, name: str) -> Host:
    """The host of that name. Raises Refusal."""
    found = await call.stub(HostServiceStub).ListHosts(pb.ListHostsRequest(name=name[:255]))
    if not found.hosts:
        raise Refusal(404, f"Compute host {name} could not be found.")
    return found.hosts[0]


def id_of(call: Call, host: Host) -> str | int:
    """A host's id as the microversion has it: before 2.53 the first bits of the UUID, as a number."""
    return uuid.UUID(host.id).int >> 97 if call.microversion <= _LAST_NUMBERS else host.id


async def by_id(call: Call, id: str) -> Host:
    """The host of that id, as the microversion has it. Raises Refusal."""
    async for host in listed(call):
        if str(id_of(call, host)) == id:
            return host
    raise Refusal(404, f"No hypervisor matching {id!r} could be found.")


async def index(call: Call) -> dict[str, Any]:
    """GET /os-hosts."""
    zone, service = call.query.get("zone", ""), call.query.get("service", "compute")
    found = [
        {"host_name": host.name, "service": "compute", "zone": host.availability_zone or ZONE}
        async for host in listed(call)
    ]
    return {"hosts": [one for one in found if zone in ("", one["zone"]) and service == "compute"]}


async def show(call: Call) -> dict[str, Any]:
    """GET /os-hosts/{name}: what there is of it."""
    host = await named(call, call.params["name"])
    total = {
        "host": host.name,
        "project": "(total)",
        "cpu": host.vcpus,
        "memory_mb": host.memory_mib,
        "disk_gb": host.disk_gib,
    }
    return {"host": [{"resource": total}]}


async def update(call: Call) -> dict[str, Any]:
    """PUT /os-hosts/{name}: whether it takes new servers."""
    host, given = await named(call, call.params["name"]), await call.body()
    body.refuse_unknown(given, {"status", "maintenance_mode"})
    status, mode = given.get("status", "enable"), given.get("maintenance_mode", "disable")
    if not given or status not in ("enable", "disable") or mode not in ("enable", "disable"):
        raise Refusal(400, "status or maintenance_mode must be enable or disable.")
    if mode == "enable":
        raise Refusal(501, "A host does not leave its servers to others: migrate them.")
    request = pb.UpdateHostRequest(
        id=host.id, host=Host(disabled=status == "disable"), update_mask=FieldMask(paths=["disabled"])
    )
    await call.stub(HostServiceStub).UpdateHost(request)
    said = {"status": f"{status}d"} if "status" in given else {}
    return {
        "host": host.name,
        **said,
        **({"maintenance_mode": "off_maintenance"} if "maintenance_mode" in given else {}),
    }


async def switch(call: Call) -> None:
    """GET /os-hosts/{name}/startup, /shutdown, /reboot."""
    await named(call, call.params["name"])
    raise Refusal(501, "The power of hosts is not weft's.")


def _route(method: str, path: str, handler: Handler) -> Route:
    gone = until(handler, _LAST, "From 2.43 on os-services and os-hypervisors are asked.")
    return Route(method, f"/v2.1/os-hosts{path}", gone, administers=True)


ROUTES = (
    _route("GET", "", index),
    _route("GET", "/{name}", show),
    _route("PUT", "/{name}", update),
    *(_route("GET", f"/{{name}}/{deed}", switch) for deed in ("startup", "shutdown", "reboot")),
)
