"""A host's agent, the image service and compute, as far as block calls them: in memory, behind real gRPC."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import clock
from mesh.errors import CloudError, not_found
from weft.block.v1.resources_pb2 import NbdConnection
from weft.compute.v1.host_service_pb2 import AttachmentHolder, FindAttachmentsResponse
from weft.compute.v1.host_service_pb2_grpc import HostServiceServicer
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2_grpc import ServerServiceServicer
from weft.image.v1.image_service_pb2_grpc import ImageServiceServicer
from weft.image.v1.resources_pb2 import Image
from weft.image.v1.transfer_service_pb2 import GrantFetchResponse
from weft.image.v1.transfer_service_pb2_grpc import TransferServiceServicer
from weft.node.v1.guest_service_pb2_grpc import GuestServiceServicer
from weft.node.v1.resources_pb2 import HostExport, HostVolume
from weft.node.v1.volume_service_pb2 import ListVolumesResponse
from weft.node.v1.volume_service_pb2_grpc import HostVolumeServiceServicer

Hook = Callable[[], Awaitable[None]]


class FakeHost(HostVolumeServiceServicer, GuestServiceServicer):
    """Keeps volumes, snapshots and exports; `before` and `after` an RPC's effect a test may intervene."""

    def __init__(self) -> None:
        self.volumes: dict[str, HostVolume] = {}
        self.sources: dict[str, str] = {}
        self.grants: dict[str, bytes] = {}
        self.snapshots: dict[str, str] = {}
        self.exports: dict[str, str] = {}
        self.begun_at = clock.to_proto(clock.now())
        self.told: list[tuple[str, str, int]] = []
        self.before: dict[str, Hook] = {}
        self.after: dict[str, Hook] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is kept."""
        return not (self.volumes or self.snapshots or self.exports)

    async def _around(self, rpc: str, effect: Callable[[], Any]) -> Any:
        if rpc in self.before:
            await self.before[rpc]()
        answer = effect()
        if rpc in self.after:
            await self.after[rpc]()
        return answer

    async def CreateVolume(self, request: Any, context: Any) -> HostVolume:
        def effect() -> HostVolume:
            source = request.WhichOneof("source") or ""
            known = {"snapshot_id": self.snapshots, "source_volume_id": self.volumes}.get(source)
            if known is not None and getattr(request, source) not in known:
                raise not_found("source", getattr(request, source))
            self.sources[request.volume_id] = source
            self.grants[request.volume_id] = request.image.grant
            made = HostVolume(volume_id=request.volume_id, size_bytes=request.size_bytes, format="qcow2")
            return self.volumes.setdefault(request.volume_id, made)

        return await self._around("CreateVolume", effect)

    async def DeleteVolume(self, request: Any, context: Any) -> Empty:
        def effect() -> Empty:
            if request.volume_id in self.exports.values():
                raise CloudError("IN_USE", "It is exported.")
            self.volumes.pop(request.volume_id, None)
            return Empty()

        return await self._around("DeleteVolume", effect)

    async def ExtendVolume(self, request: Any, context: Any) -> HostVolume:
        def effect() -> HostVolume:
            volume = self.volumes[request.volume_id]
            volume.size_bytes = max(volume.size_bytes, request.size_bytes)
            return volume

        return await self._around("ExtendVolume", effect)

    async def CreateSnapshot(self, request: Any, context: Any) -> Empty:
        def effect() -> Empty:
            self.snapshots[request.snapshot_id] = request.volume_id
            return Empty()

        return await self._around("CreateSnapshot", effect)

    async def DeleteSnapshot(self, request: Any, context: Any) -> Empty:
        def effect() -> Empty:
            self.snapshots.pop(request.snapshot_id, None)
            return Empty()

        return await self._around("DeleteSnapshot", effect)

    async def ExportVolume(self, request: Any, context: Any) -> NbdConnection:
        def effect() -> NbdConnection:
            self.exports[request.export_id] = request.volume_id
            return NbdConnection(address="192.0.2.1:10809", export=request.export_id)

        return await self._around("ExportVolume", effect)

    async def ListVolumes(self, request: Any, context: Any) -> ListVolumesResponse:
        def effect() -> ListVolumesResponse:
            volumes = [HostVolume(volume_id=volume.volume_id) for volume in self.volumes.values()]
            for volume in volumes:
                mine = (id for id, volume_id in self.exports.items() if volume_id == volume.volume_id)
                volume.exports.extend(HostExport(export_id=id, created_at=self.begun_at) for id in mine)
            return ListVolumesResponse(volumes=volumes)

        return await self._around("ListVolumes", effect)

    async def UnexportVolume(self, request: Any, context: Any) -> Empty:
        def effect() -> Empty:
            self.exports.pop(request.export_id, None)
            return Empty()

        return await self._around("UnexportVolume", effect)

    async def ResizeVolume(self, request: Any, context: Any) -> Empty:
        def effect() -> Empty:
            self.told.append((request.server_id, request.volume_id, request.size_bytes))
            return Empty()

        return await self._around("ResizeVolume", effect)


class FakeImages(ImageServiceServicer, TransferServiceServicer):
    """Images by id; a grant names the host and the content."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}

    async def GetImage(self, request: Any, context: Any) -> Image:
        if request.id not in self.images:
            raise not_found("image", request.id)
        return self.images[request.id]

    async def GrantFetch(self, request: Any, context: Any) -> GrantFetchResponse:
        return GrantFetchResponse(grant=f"{request.host_id} {request.sha256}".encode())


class FakeServers(ServerServiceServicer, HostServiceServicer):
    """Servers by id, and who has which attachment; `silent` is why that is not certain."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        self.holders: dict[str, AttachmentHolder] = {}
        self.silent = ""

    async def GetServer(self, request: Any, context: Any) -> Server:
        if request.id not in self.servers:
            raise not_found("server", request.id)
        return self.servers[request.id]

    async def FindAttachments(self, request: Any, context: Any) -> FindAttachmentsResponse:
        if self.silent:
            raise CloudError("HOST_UNAVAILABLE", self.silent, host_id=request.host_id)
        found = [self.holders[id] for id in request.attachment_ids if id in self.holders]
        return FindAttachmentsResponse(holders=found)


class Gate:
    """A hook that says when somebody has come to it, and holds them there until it is opened."""

    def __init__(self) -> None:
        self.reached, self._open = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self._open.wait()

    def open(self) -> None:
        """Let everybody through."""
        self._open.set()


def failing(reason: str, times: int = 1 << 30) -> Hook:
    """A hook that refuses so many times."""
    left = times

    async def refuse() -> None:
        nonlocal left
        if left:
            left -= 1
            raise CloudError(reason, f"The test says {reason}.")

    return refuse
