"""Projects that images are shared with."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh.caller import current
from mesh.errors import CloudError
from services.image import messages, store
from services.image.api.base import Api
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb


class MemberApi(Api):
    """Sharing: offered by the image's project, answered by the member."""

    async def AddMember(self, request: verbs.AddMemberRequest, context: Any) -> pb.Member:
        caller = current()

        def add(unit: Any) -> pb.Member:
            image = store.images.own(unit, request.image_id, caller, "image.images.add_member")
            return messages.member(store.members.add(unit, image, request.member_project_id))

        return await self._mutate(request, pb.Member, add)

    async def SetMemberStatus(self, request: verbs.SetMemberStatusRequest, context: Any) -> pb.Member:
        caller = current()
        status = messages.word(pb.MemberStatus, request.status)

        def change(unit: Any) -> pb.Member:
            image = store.images.get(unit, request.image_id, caller.reach)
            if caller.reach not in (None, request.member_project_id):
                raise _not_yours(image.id, caller.scope)
            member = store.members.set_status(unit, image.id, request.member_project_id, status)
            return messages.member(member)

        return await self._mutate(request, pb.Member, change)

    async def RemoveMember(self, request: verbs.RemoveMemberRequest, context: Any) -> Empty:
        caller = current()

        def remove(unit: Any) -> Empty:
            image = store.images.own(unit, request.image_id, caller, "image.images.remove_member")
            store.members.remove(unit, image.id, request.member_project_id)
            return Empty()

        return await self._mutate(request, Empty, remove)

    async def ListMembers(self, request: verbs.ListMembersRequest, context: Any) -> verbs.ListMembersResponse:
        found, token = await self._database.read(store.members.page, request, current())
        return verbs.ListMembersResponse(members=map(messages.member, found), next_page_token=token)


def _not_yours(image_id: str, scope: str) -> CloudError:
    return CloudError(
        "PERMISSION_DENIED",
        f"Only the member project itself says what it thinks of the image {image_id}.",
        permission="image.images.set_member_status",
        scope=scope,
        role="member",
    )
