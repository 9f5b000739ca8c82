"""What operators look at: quotas, limits, zones."""

from collections.abc import Mapping
from typing import Any

from gateway.openstack import versions
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.limits import Quotas
from gateway.openstack.volume import pools
from gateway.openstack.volume.views import ZONE
from mesh.lists import walk
from weft.block.v1 import snapshot_service_pb2, volume_service_pb2
from weft.block.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub


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
        names = {pool.availability_zone or ZONE async for pool in pools.listed(call)} or names
    found = [{"zoneName": name, "zoneState": {"available": True}} for name in sorted(names)]
    return {"availabilityZoneInfo": found}


async def extensions(call: Call) -> dict[str, Any]:
    """GET /extensions: what is asked for by clients that look here; all else belongs to the version."""
    return {"extensions": [versions.extension("Hosts", "os-hosts", "Services of pools, as hosts.")]}


ROUTES = (
    *QUOTAS.routes(),
    Route("GET", "/v3/limits", limits),
    Route("GET", "/v3/os-availability-zone", zones, administers=True),
    Route("GET", "/v3/extensions", extensions),
)
