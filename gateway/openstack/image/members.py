"""Projects that an image is shared with."""

from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.image.documents import MEMBER_STATUSES, known
from mesh.lists import walk
from weft.image.v1 import image_service_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.resources_pb2 import Member

_NAMES = {number: name for name, number in MEMBER_STATUSES.items()}


async def listed(call: Call) -> dict[str, Any]:
    """GET /v2/images/{image_id}/members."""
    return {"members": [_document(each) for each in await _all(call)], "schema": "/v2/schemas/members"}


async def show(call: Call) -> dict[str, Any]:
    """GET /v2/images/{image_id}/members/{member_id}."""
    for each in await _all(call):
        if each.member_project_id == call.params["member_id"]:
            return _document(each)
    raise Refusal(404, f"{call.params['member_id']} is no member of the image.")


async def add(call: Call) -> dict[str, Any]:
    """POST /v2/images/{image_id}/members."""
    body = await call.body()
    made = await call.stub(ImageServiceStub).AddMember(
        pb.AddMemberRequest(image_id=call.params["image_id"], member_project_id=field(body, "member", str))
    )
    return _document(made)


async def set_status(call: Call) -> dict[str, Any]:
    """PUT /v2/images/{image_id}/members/{member_id}."""
    body = await call.body()
    changed = await call.stub(ImageServiceStub).SetMemberStatus(
        pb.SetMemberStatusRequest(**_named(call), status=known("status", body.get("status"), MEMBER_STATUSES))
    )
    return _document(changed)


async def remove(call: Call) -> None:
    """DELETE /v2/images/{image_id}/members/{member_id}."""
    await call.stub(ImageServiceStub).RemoveMember(pb.RemoveMemberRequest(**_named(call)))


async def _all(call: Call) -> list[Member]:
    request = pb.ListMembersRequest(image_id=call.params["image_id"])
    return [each async for each in walk(call.stub(ImageServiceStub).ListMembers, request, "members")]


def _named(call: Call) -> dict[str, Any]:
    return {"image_id": call.params["image_id"], "member_project_id": call.params["member_id"]}


def _document(member: Member) -> dict[str, Any]:
    return {
        "image_id": member.image_id,
        "member_id": member.member_project_id,
        "status": _NAMES[member.status],
        "created_at": times.seconds(member.created_at),
        "updated_at": times.seconds(member.updated_at),
        "schema": "/v2/schemas/member",
    }
