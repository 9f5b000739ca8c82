"""What a new volume begins with, and where it should be: asked of the image service, compute and our rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mesh import caller
from mesh.caller import Caller
from mesh.channel import Peers
from mesh.errors import invalid, wrong_status
from services.block import store
from services.block.model import gib
from weft.block.v1.volume_service_pb2 import CreateVolumeRequest
from weft.compute.v1 import host_service_pb2, server_service_pb2
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.image.v1 import image_service_pb2
from weft.image.v1 import resources_pb2 as image_pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub


@dataclass(frozen=True, slots=True)
class Source:
    """`least_gib` is the smallest volume that holds it; `pool_id` where it must be, if anywhere.

    `columns` are those of the volume's row, `begins_with` is what the driver is told.
    """

    least_gib: int = 0
    pool_id: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    begins_with: Mapping[str, Any] = field(default_factory=dict)


class Elsewhere:
    """Asks other services, on behalf of the caller."""

    def __init__(self, peers: Peers) -> None:
        self._images: Any = peers.stub(ImageServiceStub, service="image")
        self._servers: Any = peers.stub(ServerServiceStub, service="compute")
        self._hosts: Any = peers.stub(HostServiceStub, service="compute")

    async def image(self, image_id: str) -> Source:
        """An image as a source. Raises NOT_FOUND, and WRONG_STATUS unless it is ACTIVE."""
        image = await self._images.GetImage(image_service_pb2.GetImageRequest(id=image_id))
        if image.status != image_pb.IMAGE_STATUS_ACTIVE:
            status = image_pb.ImageStatus.Name(image.status).removeprefix("IMAGE_STATUS_")
            raise wrong_status("image", image_id, status, ["ACTIVE"])
        layout = image_pb.DiskFormat.Name(image.disk_format).removeprefix("DISK_FORMAT_").lower()
        content = {"image_id": image.id, "sha256": image.sha256, "size_bytes": image.size_bytes}
        return Source(
            least_gib=max(gib(image.virtual_size_bytes), image.min_disk_gib),
            columns={"image_id": image.id, "bootable": True},
            begins_with={"image": {**content, "format": layout}},
        )

    async def host_of(self, server_id: str) -> str:
        """The host of a server of the caller's; "" when it has none. Raises NOT_FOUND."""
        request = server_service_pb2.GetServerRequest(id=server_id)
        await self._servers.GetServer(request)
        with caller.acting_as(caller.ANONYMOUS):  # hosts are told to services, not to those they act for
            return (await self._servers.GetServer(request)).host_id

    async def knows_server(self, server_id: str) -> Any:
        """The server as compute has it, whoever's it is. Raises NOT_FOUND."""
        with caller.acting_as(caller.ANONYMOUS):
            return await self._servers.GetServer(server_service_pb2.GetServerRequest(id=server_id))

    async def holders(
        self, attachment_ids: Iterable[str], host_id: str = ""
    ) -> dict[str, host_service_pb2.AttachmentHolder]:
        """Who has these attachments, by attachment: servers, or guests of one host or of any.

        Raises HOST_UNAVAILABLE where that is not certain.
        """
        request = host_service_pb2.FindAttachmentsRequest(attachment_ids=attachment_ids, host_id=host_id)
        with caller.acting_as(caller.ANONYMOUS):
            answer = await self._hosts.FindAttachments(request, timeout=60)
        return {holder.attachment_id: holder for holder in answer.holders}


def from_rows(connection: Any, request: CreateVolumeRequest, acting: Caller) -> Source:
    """A snapshot or volume of ours as a source, kept as it is until the unit ends; or none.

    Raises NOT_FOUND, WRONG_STATUS.
    """
    if request.HasField("snapshot_id"):
        snapshot = store.snapshots.get(connection, request.snapshot_id, acting.reach, lock=True)
        store.snapshots.require(snapshot, ["AVAILABLE"])
        bootable = store.volumes.get(connection, snapshot.volume_id, None).bootable
        named = {"snapshot_id": snapshot.id}
        return Source(snapshot.size_gib, snapshot.pool_id, {**named, "bootable": bootable}, named)
    if request.HasField("source_volume_id"):
        volume = store.volumes.get(connection, request.source_volume_id, acting.reach, lock=True)
        store.volumes.require(volume, ["AVAILABLE"])
        named = {"source_volume_id": volume.id}
        return Source(volume.size_gib, volume.pool_id, {**named, "bootable": volume.bootable}, named)
    return Source()


def size_for(request: CreateVolumeRequest, source: Source) -> int:
    """The volume's size in GiB. Raises INVALID_ARGUMENT where it would not hold its source."""
    size = request.size_gib or source.least_gib
    if not size:
        raise invalid("size_gib", "an empty volume needs a size")
    if size < source.least_gib:
        raise invalid("size_gib", f"its source needs at least {source.least_gib} GiB")
    return size
