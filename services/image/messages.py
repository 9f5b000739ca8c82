"""Values as messages of the contract."""

from mesh import clock
from services.image import model
from weft.image.v1 import resources_pb2 as pb


def image(value: model.Image) -> pb.Image:
    """As the contract's Image. What is being imported may be kept already, and is not there yet."""
    there = value.status != "IMPORTING"
    return pb.Image(
        id=value.id,
        name=value.name,
        project_id=value.project_id,
        status=pb.ImageStatus.Value(f"IMAGE_STATUS_{value.status}"),
        status_reason=value.status_reason,
        disk_format=pb.DiskFormat.Value(f"DISK_FORMAT_{value.disk_format}"),
        size_bytes=value.size_bytes if there else 0,
        virtual_size_bytes=value.virtual_size_bytes if there else 0,
        min_disk_gib=value.min_disk_gib,
        min_memory_mib=value.min_memory_mib,
        sha256=value.sha256 if there else "",
        sha512=value.sha512 if there else "",
        visibility=pb.Visibility.Value(f"VISIBILITY_{value.visibility}"),
        protected=value.protected,
        hidden=value.hidden,
        properties=value.properties,
        tags=value.tags,
        created_at=clock.to_proto(value.created_at),
        updated_at=clock.to_proto(value.updated_at),
        revision=value.revision,
        operation_id=value.operation_id or "",
    )


def member(value: model.Member) -> pb.Member:
    """As the contract's Member."""
    return pb.Member(
        image_id=value.image_id,
        member_project_id=value.member_project_id,
        status=pb.MemberStatus.Value(f"MEMBER_STATUS_{value.status}"),
        created_at=clock.to_proto(value.created_at),
        updated_at=clock.to_proto(value.updated_at),
        revision=value.revision,
    )


def word(enum: object, number: int) -> str:
    """The word of an enum's value that rows keep: without its prefix, "" for unspecified."""
    name: str = enum.Name(number)  # type: ignore[attr-defined]
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")  # type: ignore[attr-defined]
    return name.removeprefix(prefix) if number else ""
