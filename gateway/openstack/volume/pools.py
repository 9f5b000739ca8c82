"""Pools, as Cinder names them: a service `host@backend`, with one pool in it of the name of the host."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.dialect import Handler, Route
from gateway.openstack.faults import Refusal
from gateway.openstack.volume.views import ZONE
from mesh.lists import walk
from weft.block.v1 import pool_service_pb2 as pb
from weft.block.v1 import snapshot_service_pb2, volume_service_pb2
from weft.block.v1.pool_service_pb2_grpc import PoolServiceStub
from weft.block.v1.resources_pb2 import Pool, Volume
from weft.block.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub

_BINARY = "cinder-volume"
# A pool's host reports it every minute.
_SILENCE = timedelta(minutes=3)


def listed(call: Call) -> Any:
    """All pools, page after page."""
    return walk(call.stub(PoolServiceStub).ListPools, pb.ListPoolsRequest(), "pools")


def _service_of(pool: Pool) -> str:
    return f"{pool.name}@{pool.backend}"


def _name(pool: Pool) -> str:
    return f"{_service_of(pool)}#{pool.name}"


async def names(call: Call, volumes: Iterable[Volume]) -> dict[str, str]:
    """The names of pools by id, where the caller is shown which pools these volumes are in."""
    if not any(one.pool_id for one in volumes) or not await call.administer():
        return {}
    return {pool.id: _name(pool) async for pool in listed(call)}


async def _of(call: Call, wanted: str, status: int = 404) -> Pool:
    """The pool of a service, by the name of the service or of its host. Raises Refusal."""
    async for pool in listed(call):
        if wanted in (pool.name, _service_of(pool), _name(pool)):
            return pool
    raise Refusal(status, f"Service {wanted} could not be found.")


def _up(pool: Pool) -> bool:
    return datetime.now(UTC) - pool.last_seen_at.ToDatetime(UTC) < _SILENCE


async def services(call: Call) -> dict[str, Any]:
    """GET /os-services: one volume service a pool."""
    binary, host = call.query.get("binary"), call.query.get("host")
    found = [
        {
            "binary": _BINARY,
            "host": _service_of(pool),
            "zone": pool.availability_zone or ZONE,
            "status": "disabled" if pool.disabled else "enabled",
            "state": "up" if _up(pool) else "down",
            "updated_at": times.bare(pool.last_seen_at),
            "disabled_reason": None,
        }
        async for pool in listed(call)
        if host in (None, pool.name, _service_of(pool))
    ]
    return {"services": found if binary in (None, _BINARY) else []}


def _switch(disabled: bool) -> Handler:
    async def switch(call: Call) -> dict[str, Any]:
        """PUT /os-services/enable, PUT /os-services/disable."""
        given = await call.body()
        body.refuse_unknown(given, {"host", "binary", "service"})
        pool = await _of(call, body.field(given, "host", str))
        if given.get("binary", _BINARY) != _BINARY:
            raise Refusal(404, "There is no such service on the host.")
        pool.disabled = disabled
        request = pb.UpdatePoolRequest(id=pool.id, pool=pool, update_mask=FieldMask(paths=["disabled"]))
        await call.stub(PoolServiceStub).UpdatePool(request)
        return {
            "host": _service_of(pool),
            "binary": _BINARY,
            "service": _BINARY,
            "disabled": disabled,
            "status": "disabled" if disabled else "enabled",
            "disabled_reason": None,
        }

    return switch


async def refuse_reason(call: Call) -> None:
    """PUT /os-services/disable-log-reason."""
    body.field(await call.body(), "disabled_reason", str)
    raise Refusal(501, "Why a pool is disabled is not kept: disable it.")


async def refuse_freezing(call: Call) -> None:
    """PUT /os-services/freeze, PUT /os-services/thaw."""
    await _of(call, body.field(await call.body(), "host", str), 400)
    raise Refusal(501, "Pools are not replicated: there is nothing to fail over to.")


async def hosts(call: Call) -> dict[str, Any]:
    """GET /os-hosts."""
    found = [
        {
            "host_name": _service_of(pool),
            "service": _BINARY,
            "zone": pool.availability_zone or ZONE,
            "service-status": "available" if _up(pool) else "unavailable",
            "service-state": "disabled" if pool.disabled else "enabled",
            "last-update": times.bare(pool.last_seen_at),
        }
        async for pool in listed(call)
    ]
    return {"hosts": found}


async def host(call: Call) -> dict[str, Any]:
    """GET /os-hosts/{host}: what is kept there."""
    pool = await _of(call, call.params["host"])
    volumes = walk(
        call.stub(VolumeServiceStub).ListVolumes, volume_service_pb2.ListVolumesRequest(), "volumes"
    )
    sizes = {one.id: one.size_gib async for one in volumes if one.pool_id == pool.id}
    rpc = call.stub(SnapshotServiceStub).ListSnapshots
    snapshots = walk(rpc, snapshot_service_pb2.ListSnapshotsRequest(), "snapshots")
    frozen = [one.size_gib async for one in snapshots if one.volume_id in sizes]
    total = {
        "host": _service_of(pool),
        "project": "(total)",
        "volume_count": str(len(sizes)),
        "total_volume_gb": str(sum(sizes.values())),
        "snapshot_count": str(len(frozen)),
        "total_snapshot_gb": str(sum(frozen)),
    }
    return {"host": [{"resource": total}]}


async def pools(call: Call) -> dict[str, Any]:
    """GET /scheduler-stats/get_pools."""
    detail = call.flag("detail")
    found = [
        {"name": _name(pool), **({"capabilities": _capabilities(pool) | _room(pool)} if detail else {})}
        async for pool in listed(call)
    ]
    return {"pools": found}


async def capabilities(call: Call) -> dict[str, Any]:
    """GET /capabilities/{host}."""
    pool = await _of(call, call.params["host"])
    return _capabilities(pool) | {
        "namespace": f"OS::Storage::Capabilities::{_service_of(pool)}",
        "display_name": None,
        "description": None,
        "visibility": None,
        "replication_targets": [],
        "properties": {},
    }


def _capabilities(pool: Pool) -> dict[str, Any]:
    return {
        "pool_name": pool.name,
        "volume_backend_name": pool.backend,
        "storage_protocol": pool.backend,
        "vendor_name": "weft",
        "driver_version": "1",
    }


def _room(pool: Pool) -> dict[str, Any]:
    gib = 2**30
    return {
        "total_capacity_gb": pool.capacity_bytes / gib,
        "free_capacity_gb": (pool.capacity_bytes - pool.allocated_bytes) / gib,
        "allocated_capacity_gb": pool.allocated_bytes / gib,
        "timestamp": times.bare(pool.updated_at),
    }


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(method, f"/v3/{path}", handler, administers=True)


ROUTES = (
    _route("GET", "os-services", services),
    _route("PUT", "os-services/enable", _switch(False)),
    _route("PUT", "os-services/disable", _switch(True)),
    _route("PUT", "os-services/disable-log-reason", refuse_reason),
    _route("PUT", "os-services/freeze", refuse_freezing),
    _route("PUT", "os-services/thaw", refuse_freezing),
    _route("GET", "os-hosts", hosts),
    _route("GET", "os-hosts/{host}", host),
    _route("GET", "scheduler-stats/get_pools", pools),
    _route("GET", "capabilities/{host}", capabilities),
)
