"""An image is made of a server's root disk, while it runs or not.

step           does                                                                 undo
create image   QUEUED, for the server's host to bring its content                   delete it
copy disk      on the host, as it is at one moment                                  remove the copy
upload image   from there to the image service: it is ACTIVE; the commit point      - (the image goes)
drop copy      removes it                                                           -
"""

from typing import Any

from mesh.database import Connection
from mesh.flow import Flow, Run, Step
from services.compute.flows import endings
from services.compute.flows.app import GRACE
from services.compute.nodes import reaching
from weft.image.v1.image_service_pb2 import CreateImageRequest, DeleteImageRequest
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.resources_pb2 import DiskFormat
from weft.node.v1.guest_service_pb2 import DropSnapshotRequest, SnapshotGuestRequest, UploadSnapshotRequest

CREATE_IMAGE = "create image"
_COPY, _UPLOAD = 1800.0, 3600.0


async def create_image(run: Run) -> None:
    """Make the image's record."""
    wanted = run.input["image"]
    await _images(run).CreateImage(
        CreateImageRequest(
            id=wanted["id"],
            name=wanted["name"],
            disk_format=DiskFormat.DISK_FORMAT_QCOW2,
            min_memory_mib=wanted["min_memory_mib"],
            properties=wanted["properties"],
            uploader_host_id=run.input["host_id"],
            request_id=run.derived("image"),
        )
    )


async def delete_image(run: Run) -> None:
    """Nothing is left of it."""
    await _images(run).DeleteImage(DeleteImageRequest(id=run.input["image"]["id"], allow_missing=True))


async def copy_disk(run: Run) -> None:
    """Keep the disk as it is now."""
    await _ask(run, "SnapshotGuest", SnapshotGuestRequest(**_names(run)), _COPY)


async def drop_copy(run: Run) -> None:
    """Remove the copy; a host that was written off has none."""
    if not await run.app.nodes.written_off(run.input["host_id"]):
        await _ask(run, "DropSnapshot", DropSnapshotRequest(**_names(run)), _COPY)


async def upload_image(run: Run) -> None:
    """The image has its content."""
    await _ask(run, "UploadSnapshot", UploadSnapshotRequest(**_names(run)), _UPLOAD)


def snapped(connection: Connection, run: Run) -> None:
    """The server is what it was."""
    endings.succeed(connection, run)


def _names(run: Run) -> dict[str, str]:
    return {"server_id": run.target_id, "snapshot_id": run.input["image"]["id"]}


async def _ask(run: Run, rpc: str, request: Any, timeout: float) -> None:
    host_id = run.input["host_id"]
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        await getattr(stub, rpc)(request, timeout=timeout)


def _images(run: Run) -> Any:
    return run.app.peers.stub(ImageServiceStub, service="image")


SNAPSHOT = Flow(
    kind="server.snapshot",
    target_type="server",
    steps=(
        Step(CREATE_IMAGE, create_image, delete_image, grace=GRACE),
        Step("copy disk", copy_disk, drop_copy, _COPY),
        Step("upload image", upload_image, None, _UPLOAD),
        Step("drop copy", drop_copy, None, 120),
    ),
    deadline=7200,
    commit="upload image",
    failed=endings.fail,
    finished=snapped,
)
