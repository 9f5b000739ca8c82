"""Values as messages of the contract."""

from typing import TypeVar

from mesh import clock
from mesh.caller import Caller, Kind
from services.block import model
from weft.block.v1 import resources_pb2 as pb

M = TypeVar("M", pb.Volume, pb.Attachment)


def volume(value: model.Volume) -> pb.Volume:
    """As the contract's Volume, with what only administrators see."""
    return pb.Volume(
        id=value.id,
        name=value.name,
        project_id=value.project_id,
        description=value.description,
        size_gib=value.size_gib,
        status=pb.VolumeStatus.Value(f"VOLUME_STATUS_{value.status}"),
        status_reason=value.status_reason,
        operation_id=value.operation_id or "",
        volume_type_id=value.volume_type_id,
        bootable=value.bootable,
        image_id=value.image_id,
        snapshot_id=value.snapshot_id,
        source_volume_id=value.source_volume_id,
        attachments=map(attachment, value.attachments),
        metadata=value.metadata,
        availability_zone=value.availability_zone,
        pool_id=value.pool_id,
        user_id=value.user_id,
        created_at=clock.to_proto(value.created_at),
        updated_at=clock.to_proto(value.updated_at),
        revision=value.revision,
    )


def attachment(value: model.Attachment) -> pb.Attachment:
    """As the contract's Attachment, with what only administrators see."""
    return pb.Attachment(
        id=value.id,
        volume_id=value.volume_id,
        server_id=value.server_id,
        host_id=value.host_id,
        device=value.device,
        status=pb.AttachmentStatus.Value(f"ATTACHMENT_STATUS_{value.status}"),
        created_at=clock.to_proto(value.created_at),
        updated_at=clock.to_proto(value.updated_at),
        revision=value.revision,
    )


def snapshot(value: model.Snapshot) -> pb.Snapshot:
    """As the contract's Snapshot."""
    return pb.Snapshot(
        id=value.id,
        name=value.name,
        project_id=value.project_id,
        description=value.description,
        volume_id=value.volume_id,
        size_gib=value.size_gib,
        status=pb.SnapshotStatus.Value(f"SNAPSHOT_STATUS_{value.status}"),
        status_reason=value.status_reason,
        operation_id=value.operation_id or "",
        metadata=value.metadata,
        created_at=clock.to_proto(value.created_at),
        updated_at=clock.to_proto(value.updated_at),
        revision=value.revision,
    )


def transfer(value: model.Transfer) -> pb.VolumeTransfer:
    """As the contract's VolumeTransfer, without its key."""
    return pb.VolumeTransfer(
        id=value.id,
        name=value.name,
        project_id=value.project_id,
        volume_id=value.volume_id,
        created_at=clock.to_proto(value.created_at),
        updated_at=clock.to_proto(value.updated_at),
        revision=value.revision,
    )


def volume_type(value: model.VolumeType) -> pb.VolumeType:
    """As the contract's VolumeType."""
    return pb.VolumeType(
        id=value.id,
        name=value.name,
        description=value.description,
        public=value.public,
        default=value.default,
        backend=value.backend,
        extra_specs=value.extra_specs,
        created_at=clock.to_proto(value.created_at),
        updated_at=clock.to_proto(value.updated_at),
        revision=value.revision,
    )


def pool(value: model.Pool) -> pb.Pool:
    """As the contract's Pool."""
    return pb.Pool(
        id=value.id,
        name=value.name,
        backend=value.backend,
        host_id=value.host_id,
        host_address=value.host_address,
        capacity_bytes=value.capacity_bytes,
        allocated_bytes=value.allocated_bytes,
        disabled=value.disabled,
        availability_zone=value.availability_zone,
        last_seen_at=clock.to_proto(value.last_seen_at),
        created_at=clock.to_proto(value.created_at),
        updated_at=clock.to_proto(value.updated_at),
        revision=value.revision,
    )


def shown(message: M, caller: Caller) -> M:
    """The message without what a tenant must not learn: where in the cloud the volume is."""
    if caller.kind is Kind.SERVICE or caller.reach is None:
        return message
    if isinstance(message, pb.Volume):
        message.ClearField("pool_id")
        for attached in message.attachments:
            attached.ClearField("host_id")
    else:
        message.ClearField("host_id")
    return message
