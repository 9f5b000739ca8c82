"""Documents of volumes and snapshots as Cinder shows them."""

from collections.abc import Mapping
from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call
from weft.block.v1 import resources_pb2 as pb

# The zone without a name, under the name that clients know for it.
ZONE = "nova"


def status(number: int, kind: Any = pb.VolumeStatus) -> str:
    """`VOLUME_STATUS_IN_USE` → `in-use`."""
    return kind.Name(number).split("_STATUS_")[1].lower().replace("_", "-")


def volume(call: Call, one: pb.Volume, types: Mapping[str, str], hosts: Mapping[str, str]) -> dict[str, Any]:
    """A volume in full. `types` are the names of volume types by id, `hosts` what Cinder calls pools."""
    document = _brief(call, one) | {
        "description": one.description or None,
        "size": one.size_gib,
        "status": status(one.status),
        "availability_zone": one.availability_zone or ZONE,
        "created_at": times.bare(one.created_at),
        "updated_at": times.bare(one.updated_at),
        "user_id": one.user_id,
        "bootable": "true" if one.bootable else "false",
        "encrypted": False,
        "multiattach": False,
        "metadata": dict(one.metadata),
        "attachments": [_attached(each) for each in one.attachments],
        "volume_type": types.get(one.volume_type_id, one.volume_type_id),
        "snapshot_id": one.snapshot_id or None,
        "source_volid": one.source_volume_id or None,
        "replication_status": None,
        "consistencygroup_id": None,
        "migration_status": None,
        "os-vol-tenant-attr:tenant_id": one.project_id,
    }
    if one.image_id:
        document["volume_image_metadata"] = {"image_id": one.image_id}
    if one.pool_id in hosts:  # which tenants are not told
        document["os-vol-host-attr:host"] = hosts[one.pool_id]
    return document | _added_to_volumes(call.microversion, one)


def _added_to_volumes(version: tuple[int, int], one: pb.Volume) -> dict[str, Any]:
    added: dict[str, Any] = {}
    if version >= (3, 13):
        added["group_id"] = None
    if version >= (3, 48):
        added |= {"service_uuid": None, "shared_targets": False}
    if version >= (3, 63):
        added["volume_type_id"] = one.volume_type_id
    if version >= (3, 65):
        added["consumes_quota"] = True
    return added


def _attached(one: pb.Attachment) -> dict[str, Any]:
    return {
        "id": one.volume_id,
        "attachment_id": one.id,
        "volume_id": one.volume_id,
        "server_id": one.server_id,
        "host_name": one.host_id or None,
        "device": device(one),
        "attached_at": times.bare(one.created_at),
    }


def device(one: pb.Attachment) -> str | None:
    """The device that a guest has it as; None where that is not known."""
    return f"/dev/{one.device.removeprefix('/dev/')}" if one.device else None


def _brief(call: Call, one: pb.Volume) -> dict[str, Any]:
    path = f"/v3/volumes/{one.id}"
    links = [{"rel": "self", "href": call.url(path)}, {"rel": "bookmark", "href": call.url(path)}]
    return {"id": one.id, "name": one.name, "links": links}


def made(document: dict[str, Any]) -> dict[str, Any]:
    """What is shown of one that was just made or changed: neither extensions nor what its image said."""
    return {
        name: value
        for name, value in document.items()
        if not name.startswith(("os-", "volume_image_metadata"))
    }


def brief(document: dict[str, Any]) -> dict[str, Any]:
    """What a list that is not in detail shows of a volume."""
    return {name: document[name] for name in ("id", "name", "links")}


def snapshot(call: Call, one: pb.Snapshot) -> dict[str, Any]:
    """A snapshot in full."""
    document = {
        "id": one.id,
        "name": one.name,
        "description": one.description or None,
        "volume_id": one.volume_id,
        "size": one.size_gib,
        "status": status(one.status, pb.SnapshotStatus),
        "created_at": times.bare(one.created_at),
        "updated_at": times.bare(one.updated_at),
        "metadata": dict(one.metadata),
        "os-extended-snapshot-attributes:project_id": one.project_id,
        "os-extended-snapshot-attributes:progress": (
            "100%" if one.status == pb.SNAPSHOT_STATUS_AVAILABLE else "0%"
        ),
    }
    if call.microversion >= (3, 14):
        document["group_snapshot_id"] = None
    if call.microversion >= (3, 65):
        document["consumes_quota"] = True
    return document


def brief_snapshot(document: dict[str, Any]) -> dict[str, Any]:
    """What a list that is not in detail shows of a snapshot."""
    return {name: value for name, value in document.items() if not name.startswith("os-extended")}
