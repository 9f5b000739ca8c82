"""HostVolumeService and ImageCacheService: messages in, the host's disks asked, messages out."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from node.disk.images import Images, Wanted
from node.disk.sharing import Sharing
from node.disk.snapshots import Snapshots
from node.disk.volumes import Volumes
from weft.block.v1.resources_pb2 import NbdConnection
from weft.node.v1 import image_cache_service_pb2 as image_pb
from weft.node.v1 import image_cache_service_pb2_grpc, volume_service_pb2_grpc
from weft.node.v1 import volume_service_pb2 as pb
from weft.node.v1.resources_pb2 import HostVolume


class HostVolumeServicer(volume_service_pb2_grpc.HostVolumeServiceServicer):
    """Volumes of this host."""

    def __init__(self, volumes: Volumes, snapshots: Snapshots, sharing: Sharing) -> None:
        self._volumes = volumes
        self._snapshots = snapshots
        self._sharing = sharing

    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Any) -> HostVolume:
        return await self._volumes.create(request)

    async def DeleteVolume(self, request: pb.DeleteVolumeRequest, context: Any) -> Empty:
        await self._volumes.delete(request.volume_id)
        return Empty()

    async def ExtendVolume(self, request: pb.ExtendVolumeRequest, context: Any) -> HostVolume:
        return await self._volumes.extend(request.volume_id, request.size_bytes)

    async def CreateSnapshot(self, request: pb.CreateSnapshotRequest, context: Any) -> Empty:
        await self._snapshots.create(request.volume_id, request.snapshot_id)
        return Empty()

    async def DeleteSnapshot(self, request: pb.DeleteSnapshotRequest, context: Any) -> Empty:
        await self._snapshots.delete(request.volume_id, request.snapshot_id)
        return Empty()

    async def ExportVolume(self, request: pb.ExportVolumeRequest, context: Any) -> NbdConnection:
        return await self._sharing.begin(request)

    async def UnexportVolume(self, request: pb.UnexportVolumeRequest, context: Any) -> Empty:
        await self._sharing.end(request.volume_id, request.export_id)
        return Empty()

    async def ListVolumes(self, request: pb.ListVolumesRequest, context: Any) -> pb.ListVolumesResponse:
        return pb.ListVolumesResponse(volumes=self._volumes.list())


class ImageCacheServicer(image_cache_service_pb2_grpc.ImageCacheServiceServicer):
    """Images on this host."""

    def __init__(self, images: Images) -> None:
        self._images = images

    async def StageImage(
        self, request: image_pb.StageImageRequest, context: Any
    ) -> image_pb.StageImageResponse:
        wanted = Wanted(request.image_id, request.sha256, request.size_bytes, request.format, request.grant)
        staged = await self._images.stage(wanted)
        return image_pb.StageImageResponse(cached=staged.cached, virtual_size_bytes=staged.virtual_size_bytes)
