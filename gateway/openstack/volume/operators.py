"""What operators look at: quotas, limits, zones, services, pools."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.limits import Quotas
from gateway.openstack.lists import walk
from gateway.openstack.volume.views import ZONE
from weft.block.v1 import pool_service_pb2, resources_pb2, snapshot_service_pb2, volume_service_pb2
from weft.block.v1.pool_service_pb2_grpc import PoolServiceStub
from weft.block.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub

# A pool's host reports it every minute.
_SILENCE = timedelta(minutes=3)


async def _usage(call: Call, project_id: str) -> Mapping[str, int]:
    asked = project_id if call.administers else ""
    volumes = walk(
        call.stub(VolumeServiceStub).ListVolumes,
        volume_service_pb2.ListVolumesRequest(project_id=asked),
        "volumes",
    )
    snapshots = walk(
        call.stub(SnapshotServiceStub).ListSnapshots, snapshot_service_pb2.ListSnapshotsRequest(), "snapshots"
    )
    used = {"volumes": 0, "snapshots": 0, "volume_gib": 0}
    for noun, found in (("volumes", volumes), ("snapshots", snapshots)):
        async for one in found:
            if asked in ("", one.project_id):
                used[noun] += 1
                used["volume_gib"] += one.size_gib
    return used


# There are no backups and no groups: nobody may have one.
QUOTAS = Quotas(
    "block",
    "/v3/os-quota-sets",
    {"volumes": "volumes", "snapshots": "snapshots", "gigabytes": "volume_gib"},
    {"per_volume_gigabytes": -1, "backups": 0, "backup_gigabytes": 0, "groups": 0},
    _usage,
)


async def limits(call: Call) -> dict[str, Any]:
    """GET /limits."""
    limits, used = await QUOTAS.of(call, ""), await QUOTAS.used(call, "")
    absolute = {
        "maxTotalVolumes": limits["volumes"],
        "maxTotalSnapshots": limits["snapshots"],
        "maxTotalVolumeGigabytes": limits["gigabytes"],
        "maxTotalBackups": 0,
        "maxTotalBackupGigabytes": 0,
        "totalVolumesUsed": used["volumes"],
        "totalSnapshotsUsed": used["snapshots"],
        "totalGigabytesUsed": used["gigabytes"],
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    }
    return {"limits": {"rate": [], "absolute": absolute}}


async def zones(call: Call) -> dict[str, Any]:
    """GET /os-availability-zone: for administrators those of all pools, for others the one without a name."""
    names = {ZONE}
    if call.administers:
        names = {pool.availability_zone or ZONE async for pool in _pools(call)} or names
    found = [{"zoneName": name, "zoneState": {"available": True}} for name in sorted(names)]
    return {"availabilityZoneInfo": found}


async def services(call: Call) -> dict[str, Any]:
    """GET /os-services: the API, and one volume service a pool."""
    found = [_service(pool) async for pool in _pools(call)]
    binary, host = call.query.get("binary"), call.query.get("host")
    return {
        "services": [one for one in found if binary in (None, one["binary"]) and host in (None, one["host"])]
    }


def _service(pool: resources_pb2.Pool) -> dict[str, Any]:
    seen = pool.last_seen_at.ToDatetime(UTC)
    return {
        "binary": "cinder-volume",
        "host": pool.name,
        "zone": pool.availability_zone or ZONE,
        "status": "disabled" if pool.disabled else "enabled",
        "state": "up" if datetime.now(UTC) - seen < _SILENCE else "down",
        "updated_at": times.bare(pool.last_seen_at),
        "disabled_reason": None,
    }


async def pools(call: Call) -> dict[str, Any]:
    """GET /scheduler-stats/get_pools."""
    detail = call.flag("detail")
    found = [
        {"name": pool.name, **({"capabilities": _room(pool)} if detail else {})}
        async for pool in _pools(call)
    ]
    return {"pools": found}


def _room(pool: resources_pb2.Pool) -> dict[str, Any]:
    gib = 2**30
    return {
        "pool_name": pool.name,
        "storage_protocol": pool.backend,
        "total_capacity_gb": pool.capacity_bytes / gib,
        "free_capacity_gb": (pool.capacity_bytes - pool.allocated_bytes) / gib,
        "allocated_capacity_gb": pool.allocated_bytes / gib,
        "timestamp": times.bare(pool.updated_at),
    }


async def extensions(call: Call) -> dict[str, Any]:
    """GET /extensions: all that there is belongs to the version."""
    return {"extensions": []}


def _pools(call: Call) -> Any:
    return walk(call.stub(PoolServiceStub).ListPools, pool_service_pb2.ListPoolsRequest(), "pools")


ROUTES = (
    *QUOTAS.routes(),
    Route("GET", "/v3/limits", limits),
    Route("GET", "/v3/os-availability-zone", zones, administers=True),
    Route("GET", "/v3/os-services", services, administers=True),
    Route("GET", "/v3/scheduler-stats/get_pools", pools, administers=True),
    Route("GET", "/v3/extensions", extensions),
)
