"""Records of images: get, list, create, update, delete, deactivate, watch."""

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids, masks, watch
from mesh.caller import Kind, current
from mesh.errors import CloudError, invalid
from services.image import messages, model, store
from services.image.api.base import Api
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb

_FIELDS = {
    "name": ...,
    "visibility": lambda number: _visibility(number, "image.visibility"),
    "min_disk_gib": ...,
    "min_memory_mib": ...,
    "protected": ...,
    "hidden": ...,
    "properties": ...,
    "tags": ...,
}


class ImageApi(Api):
    """Everything about images but their content and their members."""

    async def GetImage(self, request: verbs.GetImageRequest, context: Any) -> pb.Image:
        return messages.image(await self._database.peek(store.images.get, request.id, current().reach))

    async def ListImages(self, request: verbs.ListImagesRequest, context: Any) -> verbs.ListImagesResponse:
        wanted = {
            "name": request.name,
            "status": messages.word(pb.ImageStatus, request.status),
            "visibility": messages.word(pb.Visibility, request.visibility),
            "sha256": request.sha256,
            "tags": list(request.tags),
        }
        wanted = {name: value for name, value in wanted.items() if value}
        asked = request.member_statuses or [pb.MEMBER_STATUS_ACCEPTED]
        answered = [messages.word(pb.MemberStatus, each) for each in asked]
        found, token = await self._database.read(store.images.page, request, current(), wanted, answered)
        return verbs.ListImagesResponse(images=map(messages.image, found), next_page_token=token)

    async def CreateImage(self, request: verbs.CreateImageRequest, context: Any) -> pb.Image:
        values = _described(request)
        limits = await self._limits.of(values["project_id"])
        return await self._mutate(
            request, pb.Image, lambda unit: messages.image(store.images.create(unit, values, limits))
        )

    async def UpdateImage(self, request: verbs.UpdateImageRequest, context: Any) -> pb.Image:
        values = masks.apply(request.update_mask, request.image, _FIELDS)
        caller = current()

        def change(unit: Any) -> pb.Image:
            image = store.images.own(unit, request.id, caller, "image.images.update")
            if values.get("visibility") not in (None, image.visibility):
                _check_publishing(values["visibility"])
            changed = store.images.change(unit, request.id, request.expected_revision, values)
            return messages.image(changed)

        return await self._mutate(request, pb.Image, change)

    async def DeleteImage(self, request: verbs.DeleteImageRequest, context: Any) -> Empty:
        caller = current()
        freed: list[str] = []

        def remove(unit: Any) -> Empty:
            try:
                image = store.images.own(unit, request.id, caller, "image.images.delete")
            except CloudError as error:
                if error.reason == "NOT_FOUND" and request.allow_missing:
                    return Empty()
                raise
            store.images.remove(unit, image, request.expected_revision)
            freed[:] = [image.sha256]
            return Empty()

        answer = await self._mutate(request, Empty, remove)
        for sha256 in filter(None, freed):
            await self._contents.discard(sha256)
        return answer

    async def DeactivateImage(self, request: verbs.DeactivateImageRequest, context: Any) -> pb.Image:
        return await self._set_active(request, False)

    async def ReactivateImage(self, request: verbs.ReactivateImageRequest, context: Any) -> pb.Image:
        return await self._set_active(request, True)

    async def WatchImages(
        self, request: verbs.WatchImagesRequest, context: Any
    ) -> AsyncIterator[verbs.WatchImagesResponse]:
        reach = current().reach
        async for event in watch.stream(self._database, "image", request.from_revision or None, None):
            image = pb.Image.FromString(event.payload)
            if _watched(event.project_id, image, reach):
                yield verbs.WatchImagesResponse(revision=event.revision, type=event.type, image=image)

    async def _set_active(self, request: Any, active: bool) -> pb.Image:
        return await self._mutate(
            request, pb.Image, lambda unit: messages.image(store.images.set_active(unit, request.id, active))
        )


def _described(request: verbs.CreateImageRequest) -> dict[str, Any]:
    project_id = current().project_id
    if not project_id:
        raise invalid("project_id", "an image belongs to a project: use a token of project scope")
    visibility = request.visibility or pb.VISIBILITY_PRIVATE
    _check_publishing(_visibility(visibility, "visibility"))
    return {
        "id": request.id or ids.new(),
        "name": request.name,
        "project_id": project_id,
        "disk_format": messages.word(pb.DiskFormat, request.disk_format),
        "visibility": _visibility(visibility, "visibility"),
        "min_disk_gib": request.min_disk_gib,
        "min_memory_mib": request.min_memory_mib,
        "protected": request.protected,
        "hidden": request.hidden,
        "properties": dict(request.properties),
        "tags": list(request.tags),
        "expected_sha256": request.sha256,
        "uploader_host_id": _uploader(request.uploader_host_id),
    }


def _uploader(host_id: str) -> str | None:
    caller = current()
    if host_id and caller.kind is not Kind.SERVICE:
        raise CloudError(
            "PERMISSION_DENIED",
            "Only services say which host brings an image's content: leave uploader_host_id out.",
            permission="image.images.create",
            scope=caller.scope,
            role="service",
        )
    return host_id or None


def _visibility(number: int, field: str) -> str:
    if number not in pb.Visibility.values() or not number:
        raise invalid(field, "must be PRIVATE, SHARED, PUBLIC or COMMUNITY")
    return messages.word(pb.Visibility, number)


def _check_publishing(visibility: str) -> None:
    caller = current()
    if visibility == "PUBLIC" and not model.may_publish(caller.roles) and not caller.for_nobody:
        raise CloudError(
            "PERMISSION_DENIED",
            "Only the role admin may make an image PUBLIC: share it with its members instead.",
            permission="image.images.publish",
            scope=caller.scope,
            role="admin",
        )


def _watched(recipient: str, image: pb.Image, reach: str | None) -> bool:
    """Each event comes once for its project and once for each project that accepted the image."""
    if reach is None or image.visibility == pb.VISIBILITY_PUBLIC:
        return recipient == image.project_id
    return recipient == reach
