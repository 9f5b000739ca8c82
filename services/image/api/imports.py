"""Contents that the service itself fetches."""

from typing import Any

from mesh.caller import current
from mesh.errors import invalid, wrong_status
from mesh.flow import submit
from services.image import messages, store
from services.image.api.base import Api
from services.image.flows.image_import import IMPORT
from services.image.model import Image
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb


class ImportApi(Api):
    """What begins an import; it is followed and ended as an operation."""

    async def ImportImage(self, request: verbs.ImportImageRequest, context: Any) -> pb.Image:
        self._sources.check(request.uri)
        caller = current()

        def begin(unit: Any) -> pb.Image:
            image = store.images.own(unit, request.id, caller, "image.images.import")
            if image.status != "QUEUED":
                raise wrong_status("image", image.id, image.status, ["QUEUED"])
            operation_id = submit(
                unit,
                IMPORT,
                target_id=image.id,
                project_id=image.project_id,
                caller=caller,
                input={"uri": request.uri, "sha256": _expected(image, request.sha256)},
            )
            return messages.image(store.imports.begin(unit, image, operation_id))

        return await self._mutate(request, pb.Image, begin)


def _expected(image: Image, sha256: str) -> str:
    if "" not in (image.expected_sha256, sha256) and image.expected_sha256 != sha256:
        raise invalid("sha256", "the image was made for content with another")
    return sha256 or image.expected_sha256
