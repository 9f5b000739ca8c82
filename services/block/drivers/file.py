"""Volumes as files of a host, kept by its agent: attached as a file on that host, over NBD from another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mesh import clock
from mesh.channel import Peers
from mesh.errors import CloudError
from services.block.drivers.driver import Reach, Source
from services.block.model import Attachment, Pool
from weft.block.v1.resources_pb2 import Connection, FileConnection
from weft.image.v1.transfer_service_pb2 import GrantFetchRequest
from weft.image.v1.transfer_service_pb2_grpc import TransferServiceStub
from weft.node.v1 import guest_service_pb2, volume_service_pb2
from weft.node.v1.guest_service_pb2_grpc import GuestServiceStub
from weft.node.v1.volume_service_pb2_grpc import HostVolumeServiceStub

# Seconds for what copies a volume or fetches an image, and for what does not.
COPY = 900.0
QUICK = 60.0


class FileDriver:
    """Drives the agents of the hosts that have the pools."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def create(
        self, pool: Pool, volume_id: str, size_bytes: int, source: Source, operation_id: str
    ) -> str:
        """A file, filled from an image, or from a snapshot or volume of the same host."""
        begun_with = await self._begun_with(pool, source)
        request = volume_service_pb2.CreateVolumeRequest(
            volume_id=volume_id, size_bytes=size_bytes, operation_id=operation_id, **begun_with
        )
        with _calling(pool):
            return (await self._agent(pool).CreateVolume(request, timeout=COPY)).format

    async def delete(self, pool: Pool, volume_id: str) -> None:
        """The file goes."""
        request = volume_service_pb2.DeleteVolumeRequest(volume_id=volume_id)
        with _calling(pool):
            await self._agent(pool).DeleteVolume(request, timeout=QUICK)

    async def extend(self, pool: Pool, volume_id: str, size_bytes: int) -> None:
        """The file grows, under a running guest too."""
        request = volume_service_pb2.ExtendVolumeRequest(volume_id=volume_id, size_bytes=size_bytes)
        with _calling(pool):
            await self._agent(pool).ExtendVolume(request, timeout=QUICK)

    async def snapshot(self, pool: Pool, volume_id: str, snapshot_id: str) -> None:
        """The host keeps the file's state of now."""
        request = volume_service_pb2.CreateSnapshotRequest(volume_id=volume_id, snapshot_id=snapshot_id)
        with _calling(pool):
            await self._agent(pool).CreateSnapshot(request, timeout=COPY)

    async def delete_snapshot(self, pool: Pool, volume_id: str, snapshot_id: str) -> None:
        """The host forgets that state."""
        request = volume_service_pb2.DeleteSnapshotRequest(volume_id=volume_id, snapshot_id=snapshot_id)
        with _calling(pool):
            await self._agent(pool).DeleteSnapshot(request, timeout=QUICK)

    async def connect(self, pool: Pool, attachment: Attachment, format: str, size_bytes: int) -> Connection:
        """The file itself on its host; an export of it, named by the attachment, for another host."""
        if attachment.host_id == pool.host_id:
            file = FileConnection(volume_id=attachment.volume_id, format=format)
            return Connection(file=file, size_bytes=size_bytes)
        request = volume_service_pb2.ExportVolumeRequest(
            volume_id=attachment.volume_id, export_id=attachment.id
        )
        with _calling(pool):
            nbd = await self._agent(pool).ExportVolume(request, timeout=QUICK)
        return Connection(nbd=nbd, size_bytes=size_bytes)

    async def disconnect(self, pool: Pool, attachment: Attachment) -> None:
        """The export ends."""
        if attachment.host_id != pool.host_id:
            await self._unexport(pool, attachment.volume_id, attachment.id)

    async def reaches(self, pool: Pool) -> Sequence[Reach]:
        """Its host's exports of volumes."""
        with _calling(pool):
            answer = await self._agent(pool).ListVolumes(volume_service_pb2.ListVolumesRequest())
        return [
            Reach(export.export_id, volume.volume_id, clock.from_proto(export.created_at))
            for volume in answer.volumes
            for export in volume.exports
            if not export.snapshot_id
        ]

    async def cut(self, pool: Pool, reach: Reach) -> None:
        """The export ends."""
        await self._unexport(pool, reach.volume_id, reach.attachment_id)

    def extends_attached(self, pool: Pool, attachment: Attachment) -> bool:
        """A file yes; an NBD client does not learn that its device has grown."""
        return attachment.host_id == pool.host_id

    async def tell_guest(self, pool: Pool, attachment: Attachment, size_bytes: int) -> None:
        """The agent of the host that guest and volume share tells it."""
        request = guest_service_pb2.ResizeVolumeRequest(
            server_id=attachment.server_id, volume_id=attachment.volume_id, size_bytes=size_bytes
        )
        stub: Any = self._peers.node_stub(GuestServiceStub, pool.host_id, pool.host_address)
        with _calling(pool):
            await stub.ResizeVolume(request, timeout=QUICK)

    async def _unexport(self, pool: Pool, volume_id: str, export_id: str) -> None:
        request = volume_service_pb2.UnexportVolumeRequest(volume_id=volume_id, export_id=export_id)
        with _calling(pool):
            await self._agent(pool).UnexportVolume(request, timeout=QUICK)

    async def _begun_with(self, pool: Pool, source: Source) -> dict[str, Any]:
        """The source as the host takes it; an image with the right to fetch it."""
        if "image" not in source:
            return dict(source)
        stub: Any = self._peers.stub(TransferServiceStub, service="image")
        request = GrantFetchRequest(host_id=pool.host_id, sha256=source["image"]["sha256"])
        grant = (await stub.GrantFetch(request)).grant
        return {"image": volume_service_pb2.VolumeImageSource(**source["image"], grant=grant)}

    def _agent(self, pool: Pool) -> Any:
        return self._peers.node_stub(HostVolumeServiceStub, pool.host_id, pool.host_address)


@contextmanager
def _calling(pool: Pool) -> Iterator[None]:
    """A host that does not answer is said by its id: gRPC's words would tell its address."""
    try:
        yield
    except CloudError as error:
        if error.reason not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
            raise
        message = f"The host {pool.host_id}, which keeps the volume, does not answer."
        raise CloudError("HOST_UNAVAILABLE", message, host_id=pool.host_id) from error
