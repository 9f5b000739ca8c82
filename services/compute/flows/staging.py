"""An image is brought into a host's cache."""

from typing import Any

from mesh.flow import Run
from services.compute.nodes import reaching
from weft.image.v1.transfer_service_pb2 import GrantFetchRequest
from weft.image.v1.transfer_service_pb2_grpc import TransferServiceStub
from weft.node.v1.image_cache_service_pb2 import StageImageRequest

SECONDS = 900.0


async def stage(run: Run, host_id: str) -> None:
    """Have the image of the operation's input in the host's cache."""
    image = run.input["image"]
    transfers: Any = run.app.peers.stub(TransferServiceStub, service="image")
    granted = await transfers.GrantFetch(GrantFetchRequest(host_id=host_id, sha256=image["sha256"]))
    request = StageImageRequest(
        image_id=image["id"],
        sha256=image["sha256"],
        size_bytes=image["size_bytes"],
        format=image["format"],
        grant=granted.grant,
    )
    with reaching(host_id):
        await (await run.app.nodes.images(host_id)).StageImage(request, timeout=SECONDS)
