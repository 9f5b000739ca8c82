"""What a host agent is told of a server: the guest as it is to be, and what it knows of itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import ParseDict

from mesh import clock
from services.compute.model import GIB, hostname
from weft.node.v1.resources_pb2 import GuestMetadata, GuestPort, GuestSpec, GuestVolume, RootDisk


def metadata(server: Any, user_data: bytes) -> GuestMetadata:
    """All that the guest is told about itself."""
    return GuestMetadata(
        hostname=hostname(server.name, server.id),
        name=server.name,
        project_id=server.project_id,
        public_keys={server.key_name: server.public_key} if server.key_name else {},
        user_data=user_data,
        metadata=server.metadata,
        availability_zone=server.availability_zone,
        flavor_name=server.flavor["name"],
        image_id=server.image_id,
        launched_at=clock.to_proto(server.created_at),
        security_groups=server.security_groups,
    )


def spec(
    server: Any,
    user_data: bytes,
    *,
    operation_id: str,
    image: Mapping[str, Any] | None,
    ports: Iterable[Mapping[str, Any]],
    volumes: Iterable[Mapping[str, Any]],
) -> GuestSpec:
    """The guest; `image` is what its root disk is made from, None when it boots from a volume."""
    return GuestSpec(
        server_id=server.id,
        vcpus=server.vcpus,
        memory_mib=server.memory_mib,
        root_disk=root_disk(server.flavor, image) if image else None,
        ephemeral_bytes=server.flavor["ephemeral_gib"] * GIB,
        volumes=[_volume(volume) for volume in volumes],
        ports=[ParseDict(port["guest_port"], GuestPort()) for port in ports],
        metadata=metadata(server, user_data),
        config_drive=server.config_drive,
        operation_id=operation_id,
    )


def root_disk(flavor: Mapping[str, Any], image: Mapping[str, Any]) -> RootDisk:
    """The root disk: as large as the flavor says, or as the image when that says nothing."""
    size = flavor["disk_gib"] * GIB or image["virtual_size_bytes"]
    return RootDisk(image_sha256=image["sha256"], size_bytes=size, image_format=image["format"])


def _volume(volume: Mapping[str, Any]) -> GuestVolume:
    message = GuestVolume(
        attachment_id=volume["attachment_id"], volume_id=volume["volume_id"], boot=volume["boot"]
    )
    ParseDict(volume["connection"], message.connection)
    return message
