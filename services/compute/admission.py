"""What CreateServer checks before it answers: everything asked for exists, fits, and is the caller's to use.

Other services are asked on behalf of the caller, so what the caller may not see is NOT_FOUND here too.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mesh.caller import Caller
from mesh.channel import Peers
from mesh.database import Connection, Database
from mesh.errors import CloudError, invalid, wrong_status
from services.compute import connections, messages, model
from services.compute.store import flavors, hosts, key_pairs, servers
from weft.block.v1.resources_pb2 import Volume, VolumeStatus
from weft.block.v1.volume_service_pb2 import CreateVolumeRequest, GetVolumeRequest
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.compute.v1.server_service_pb2 import CreateServerRequest
from weft.image.v1.image_service_pb2 import GetImageRequest
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.resources_pb2 import DiskFormat, Image, ImageStatus


@dataclass(frozen=True, slots=True)
class Plan:
    """A server to be made: its row, what the guest is given, and what its boot works from."""

    row: dict[str, Any]
    user_data: bytes
    input: dict[str, Any]

    @property
    def quota(self) -> dict[str, int]:
        """What it adds to the project's use."""
        return {"servers": 1, "vcpus": self.row["vcpus"], "memory_mib": self.row["memory_mib"]}


class Admission:
    """Turns a request into a plan, or into the error that tells what is wrong with it."""

    def __init__(self, peers: Peers, database: Database) -> None:
        self._peers = peers
        self._database = database

    async def plan(self, request: CreateServerRequest, caller: Caller) -> Plan:
        """Raises INVALID_ARGUMENT, NOT_FOUND, WRONG_STATUS, IN_USE, PERMISSION_DENIED."""
        _check_caller(request, caller)
        flavor, public_key = await self._database.peek(_flavor_and_key, request, caller)
        image, volumes, networks, groups = await asyncio.gather(
            self._image(request, flavor),
            self._volumes(request),
            connections.networks(self._peers, request, caller),
            connections.security_groups(self._peers, request),
        )
        root = image if request.image_id else None
        root_gib = (flavor["disk_gib"] or model.gib(image.virtual_size_bytes)) if image and root else 0
        wants = model.needs(flavor, root_gib, dict(image.properties) if image else {})
        row = _row(request, caller, flavor, public_key)
        row["security_groups"] = [group.name for group in groups] or (["default"] if networks else [])
        input = {
            "image": image_facts(root) if root else None,
            "needs": wants.as_input(),
            "host_id": request.host_id,
            "availability_zone": request.availability_zone,
            "server_group_id": request.server_group_id,
            "same_host_server_ids": list(request.same_host_server_ids),
            "different_host_server_ids": list(request.different_host_server_ids),
            "networks": networks,
            "security_group_ids": [group.id for group in groups],
            "new_volume": _new_volume(request),
            "volumes": volumes,
        }
        return Plan(row, request.user_data, input)

    async def _image(self, request: CreateServerRequest, flavor: dict[str, Any]) -> Image | None:
        image_id = request.image_id or request.new_volume.image_id
        if not image_id:
            return None
        stub: Any = self._peers.stub(ImageServiceStub, service="image")
        image = await stub.GetImage(GetImageRequest(id=image_id))
        check_image(image, flavor, for_root=bool(request.image_id))
        if request.HasField("new_volume"):
            await self._rehearse_volume(request)
        return image

    async def _rehearse_volume(self, request: CreateServerRequest) -> None:
        wanted = request.new_volume
        stub: Any = self._peers.stub(VolumeServiceStub, service="block")
        await stub.CreateVolume(
            CreateVolumeRequest(
                image_id=wanted.image_id,
                size_gib=wanted.size_gib,
                volume_type_id=wanted.volume_type_id,
                validate_only=True,
            )
        )

    async def _volumes(self, request: CreateServerRequest) -> list[dict[str, Any]]:
        """Those that exist already, the one to boot from first."""
        wanted: list[dict[str, Any]] = [
            {"volume_id": v.volume_id, "delete_on_termination": v.delete_on_termination, "boot": False}
            for v in request.volumes
        ]
        if request.volume_id:
            ends = request.delete_volume_on_termination
            wanted.insert(0, {"volume_id": request.volume_id, "delete_on_termination": ends, "boot": True})
        ids = [volume["volume_id"] for volume in wanted]
        if len(set(ids)) < len(ids):
            raise invalid("volumes", "names a volume twice.")
        stub: Any = self._peers.stub(VolumeServiceStub, service="block")
        found = await asyncio.gather(*(stub.GetVolume(GetVolumeRequest(id=id)) for id in ids))
        for volume in found:
            check_available(volume)
        if request.volume_id and not found[0].bootable:
            raise invalid("volume_id", "is not bootable.")
        return wanted


def check_image(image: Image, flavor: Mapping[str, Any], *, for_root: bool) -> None:
    """Raises WRONG_STATUS unless the image is ACTIVE, INVALID_ARGUMENT unless it fits the flavor."""
    if image.status != ImageStatus.IMAGE_STATUS_ACTIVE:
        status = ImageStatus.Name(image.status).removeprefix("IMAGE_STATUS_")
        raise wrong_status("image", image.id, status, ("ACTIVE",))
    if image.min_memory_mib > flavor["memory_mib"]:
        raise invalid("flavor_id", f"has less memory than the image needs ({image.min_memory_mib} MiB).")
    least = max(image.min_disk_gib, model.gib(image.virtual_size_bytes))
    if for_root and 0 < flavor["disk_gib"] < least:
        raise invalid("flavor_id", f"has a smaller disk than the image needs ({least} GiB).")


def check_available(volume: Volume) -> None:
    """Raises WRONG_STATUS unless the volume is free to be attached."""
    if volume.status != VolumeStatus.VOLUME_STATUS_AVAILABLE:
        status = VolumeStatus.Name(volume.status).removeprefix("VOLUME_STATUS_")
        raise wrong_status("volume", volume.id, status, ("AVAILABLE",))


def _check_caller(request: CreateServerRequest, caller: Caller) -> None:
    if not caller.project_id:
        raise invalid("project", "a server belongs to a project: log in to one.")
    if request.delete_volume_on_termination and not request.volume_id:
        raise invalid("delete_volume_on_termination", "is said of the volume that volume_id names.")
    if request.host_id and "admin" not in caller.roles:
        raise CloudError(
            "PERMISSION_DENIED",
            "Only administrators choose the host of a server: leave host_id out.",
            permission="compute.servers.create",
            scope=caller.scope,
            role="admin",
        )


def _flavor_and_key(
    connection: Connection, request: CreateServerRequest, caller: Caller
) -> tuple[dict[str, Any], str]:
    flavor = flavors.get(connection, request.flavor_id, caller.reach)
    if flavor.disabled:
        raise invalid("flavor_id", "is disabled: it takes no new servers.")
    if request.host_id:
        hosts.get(connection, request.host_id)
    for id in (*request.same_host_server_ids, *request.different_host_server_ids):
        servers.get(connection, id, caller.reach)
    name = request.key_name
    public_key = key_pairs.get(connection, caller.user_id, name).public_key if name else ""
    return messages.flavor_copy(flavor), public_key


def _row(
    request: CreateServerRequest, caller: Caller, flavor: dict[str, Any], public_key: str
) -> dict[str, Any]:
    return {
        "name": request.name,
        "project_id": caller.project_id,
        "user_id": caller.user_id,
        "status": "BUILDING",
        "flavor_id": flavor["id"],
        "flavor": flavor,
        "vcpus": flavor["vcpus"],
        "memory_mib": flavor["memory_mib"],
        "image_id": request.image_id,
        "key_name": request.key_name,
        "public_key": public_key,
        "description": request.description,
        "metadata": dict(request.metadata),
        "tags": list(request.tags),
        "config_drive": request.config_drive,
        "availability_zone": request.availability_zone,
        "access_ipv4": request.access_ipv4,
        "access_ipv6": request.access_ipv6,
        "server_group_id": request.server_group_id or None,
    }


def image_facts(image: Image) -> dict[str, Any]:
    """What a flow has to know of an image to make a root disk from it."""
    return {
        "id": image.id,
        "sha256": image.sha256,
        "size_bytes": image.size_bytes,
        "virtual_size_bytes": image.virtual_size_bytes,
        "format": DiskFormat.Name(image.disk_format).removeprefix("DISK_FORMAT_").lower(),
    }


def _new_volume(request: CreateServerRequest) -> dict[str, Any] | None:
    if not request.HasField("new_volume"):
        return None
    wanted = request.new_volume
    return {
        "image_id": wanted.image_id,
        "size_gib": wanted.size_gib,
        "volume_type_id": wanted.volume_type_id,
        "delete_on_termination": wanted.delete_on_termination,
    }
