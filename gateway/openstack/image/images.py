"""Records of images."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf.field_mask_pb2 import FieldMask
from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.image import documents, patches, queries
from gateway.openstack.lists import window
from mesh.lists import walk
from weft.identity.v1 import token_service_pb2
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub
from weft.image.v1 import image_service_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.resources_pb2 import Image


@dataclass(frozen=True, slots=True)
class _Shown:
    id: str
    document: dict[str, Any]


async def listed(call: Call) -> dict[str, Any]:
    """GET /v2/images: filtered and sorted as the query says, newest first unless it says otherwise."""
    stub = call.stub(ImageServiceStub)
    found = [
        documents.document(each) async for each in walk(stub.ListImages, queries.request(call), "images")
    ]
    chosen = queries.ordered(call, [each for each in found if queries.matches(call, each)])
    taken, following = await window(call, _each(chosen))
    path = f"/v2/images?{call.request.url.query}".rstrip("?")
    answer = {"images": [each.document for each in taken], "schema": "/v2/schemas/images", "first": path}
    if following:
        answer["next"] = f"/v2/images?{following.partition('?')[2]}"
    return answer


async def _each(chosen: list[dict[str, Any]]) -> AsyncIterator[_Shown]:
    for each in chosen:
        yield _Shown(each["id"], each)


async def show(call: Call) -> dict[str, Any]:
    """GET /v2/images/{id}."""
    return documents.document(await get(call))


async def create(call: Call) -> Response:
    """POST /v2/images; the answer says by what means the image may get its content besides an upload."""
    body = await call.body()
    await _check_owner(call, body)
    _check_read_only(body)
    request = pb.CreateImageRequest(
        id=documents.text("id", body.get("id") or ""),
        disk_format=documents.known("disk_format", body.get("disk_format"), documents.FORMATS),
        visibility=documents.VISIBILITIES["shared"],
    )
    for name, (ours, _) in documents.FIELDS.items():
        if name in body:
            _put(request, ours, documents.checked(name, body[name]))
    for name in body.keys() - documents.BASE:
        request.properties[name] = documents.text(name, body[name])
    made = documents.document(await call.stub(ImageServiceStub).CreateImage(request))
    headers = {
        "location": call.url(made["self"]),
        "openstack-image-import-methods": ",".join(documents.IMPORT_METHODS),
    }
    return Response(orjson.dumps(made), 201, headers, media_type="application/json")


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v2/images/{id}, in the form of RFC 6902 or the one before it."""
    steps = patches.read(call.request.headers.get("content-type", ""), await call.json())
    image = await get(call)
    changed = Image(properties=image.properties)
    mask = patches.apply(steps, changed)
    return documents.document(await _change(call, image, changed, mask) if mask else image)


async def delete(call: Call) -> None:
    """DELETE /v2/images/{id}; a protected one is forbidden to go."""
    image = await get(call)
    if image.protected:
        raise Refusal(403, f"Image {image.id} is protected and cannot be deleted.")
    await call.stub(ImageServiceStub).DeleteImage(pb.DeleteImageRequest(id=image.id))


async def add_tag(call: Call) -> None:
    """PUT /v2/images/{id}/tags/{tag}."""
    image, tag = await get(call), call.params["tag"]
    if tag not in image.tags:
        await _change(call, image, Image(tags=[*image.tags, tag]), ["tags"])


async def remove_tag(call: Call) -> None:
    """DELETE /v2/images/{id}/tags/{tag}."""
    image, tag = await get(call), call.params["tag"]
    if tag not in image.tags:
        raise Refusal(404, f"Image {image.id} has no tag {tag}.")
    await _change(call, image, Image(tags=[each for each in image.tags if each != tag]), ["tags"])


async def deactivate(call: Call) -> None:
    """POST /v2/images/{id}/actions/deactivate."""
    await call.stub(ImageServiceStub).DeactivateImage(pb.DeactivateImageRequest(id=call.params["id"]))


async def reactivate(call: Call) -> None:
    """POST /v2/images/{id}/actions/reactivate."""
    await call.stub(ImageServiceStub).ReactivateImage(pb.ReactivateImageRequest(id=call.params["id"]))


async def get(call: Call) -> Image:
    """The image that the path names."""
    return await call.stub(ImageServiceStub).GetImage(pb.GetImageRequest(id=call.params["id"]))


async def _change(call: Call, before: Image, changed: Image, mask: list[str]) -> Image:
    """The change, refused with 409 where somebody else was faster."""
    request = pb.UpdateImageRequest(
        id=before.id, image=changed, update_mask=FieldMask(paths=mask), expected_revision=before.revision
    )
    return await call.stub(ImageServiceStub).UpdateImage(request)


async def _check_owner(call: Call, body: dict[str, Any]) -> None:
    """An image belongs to the project of its maker's token; a body may say so, but nothing else."""
    if body.get("owner") is None:
        return
    token = await call.stub(TokenServiceStub).GetToken(token_service_pb2.GetTokenRequest())
    if body["owner"] != token.project_id:
        raise Refusal(403, "An image is made for the project of the token.")


def _check_read_only(body: dict[str, Any]) -> None:
    for name in sorted(body):
        documents.check_changeable(name)
    if body.get("container_format", "bare") not in ("bare", None):
        raise Refusal(400, f"container_format: {body['container_format']!r} is none of bare.")


def _put(message: Any, name: str, value: Any) -> None:
    if isinstance(value, list):
        getattr(message, name).extend(dict.fromkeys(value))
    else:
        setattr(message, name, value)
