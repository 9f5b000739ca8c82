"""Image: descriptions of images."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids
from mesh.caller import current
from mesh.errors import not_found
from mesh.server import Part, Runtime, Service
from tests.services.compute.fakes.faults import Faulty
from weft.image.v1 import image_service_pb2_grpc, transfer_service_pb2_grpc
from weft.image.v1.resources_pb2 import DiskFormat, Image, ImageStatus, Visibility
from weft.image.v1.transfer_service_pb2 import GrantFetchResponse


class Images(
    Faulty, image_service_pb2_grpc.ImageServiceServicer, transfer_service_pb2_grpc.TransferServiceServicer
):
    """Public ones are seen by everybody; a grant names the host and the content."""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[str, Image] = {}
        self.uploaders: dict[str, str] = {}

    def part(self) -> Part:
        def build(runtime: Runtime) -> Service:
            return Service(
                [
                    (image_service_pb2_grpc.add_ImageServiceServicer_to_server, self),
                    (transfer_service_pb2_grpc.add_TransferServiceServicer_to_server, self),
                ]
            )

        return Part("image", build)

    def add_image(self, project_id: str, **fields: Any) -> Image:
        given = {
            "id": ids.new(),
            "project_id": project_id,
            "status": ImageStatus.IMAGE_STATUS_ACTIVE,
            "disk_format": DiskFormat.DISK_FORMAT_QCOW2,
            "size_bytes": 5 << 20,
            "virtual_size_bytes": 1 << 30,
            "sha256": "ab" * 32,
            "visibility": Visibility.VISIBILITY_PRIVATE,
        }
        image = Image(**(given | fields))
        self.images[image.id] = image
        return image

    def brought(self, host_id: str, image_id: str) -> None:
        """What a host does by StoreImage."""
        assert self.uploaders[image_id] == host_id
        self.images[image_id].status = ImageStatus.IMAGE_STATUS_ACTIVE

    async def CreateImage(self, request: Any, context: Any) -> Image:
        self.called("CreateImage")
        assert current().service == "compute"
        if request.id not in self.images:
            fields = {"id": request.id, "name": request.name, "properties": request.properties}
            self.add_image(current().project_id, **fields, status=ImageStatus.IMAGE_STATUS_QUEUED)
            self.uploaders[request.id] = request.uploader_host_id
        return self.images[request.id]

    async def DeleteImage(self, request: Any, context: Any) -> Empty:
        self.called("DeleteImage")
        if self.images.pop(request.id, None) is None and not request.allow_missing:
            raise not_found("image", request.id)
        return Empty()

    async def GetImage(self, request: Any, context: Any) -> Image:
        self.called("GetImage")
        found = self.images.get(request.id)
        hidden = found is None or (
            found.visibility != Visibility.VISIBILITY_PUBLIC
            and current().reach not in (None, found.project_id)
        )
        if hidden:
            raise not_found("image", request.id)
        return found

    async def GrantFetch(self, request: Any, context: Any) -> GrantFetchResponse:
        self.called("GrantFetch")
        return GrantFetchResponse(grant=f"{request.host_id} {request.sha256}".encode())
