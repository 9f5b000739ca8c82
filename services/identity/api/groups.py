"""Groups: users who have the same roles."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import Caller, current
from mesh.database import Database
from mesh.errors import not_found
from services.identity.api import giving, messages, units
from services.identity.model import domain_reach, is_system
from services.identity.store import groups, rights, users
from weft.identity.v1 import group_service_pb2 as pb
from weft.identity.v1.group_service_pb2_grpc import GroupServiceServicer
from weft.identity.v1.resources_pb2 import Group


class Groups(GroupServiceServicer):
    """weft.identity.v1.GroupService."""

    def __init__(self, database: Database, project_admins: bool = False) -> None:
        self._database, self._project_admins = database, project_admins

    async def GetGroup(self, request: pb.GetGroupRequest, context: Any) -> Group:
        """A group that the caller administers."""
        return messages.group(await self._database.read(groups.get, request.id, domain_reach(current())))

    async def ListGroups(self, request: pb.ListGroupsRequest, context: Any) -> pb.ListGroupsResponse:
        """A page of the groups that the caller administers."""
        caller = current()
        rows, more = await self._database.read(groups.listed, request, caller, domain_reach(caller))
        return pb.ListGroupsResponse(groups=map(messages.group, rows), next_page_token=more)

    async def ListMyGroups(self, request: pb.ListMyGroupsRequest, context: Any) -> pb.ListGroupsResponse:
        """A page of the groups that the caller is in."""
        rows, more = await self._database.read(groups.of_user, request, current())
        return pb.ListGroupsResponse(groups=map(messages.group, rows), next_page_token=more)

    async def CreateGroup(self, request: pb.CreateGroupRequest, context: Any) -> Group:
        """A new group, with nobody in it."""
        values = {
            "name": request.name,
            "domain_id": units.own_domain(request.domain_id),
            "description": request.description,
        }
        return await mutation.change(
            self._database, request, Group, lambda unit: messages.group(groups.create(unit, values))
        )

    async def UpdateGroup(self, request: pb.UpdateGroupRequest, context: Any) -> Group:
        """Changes a group's name and description."""
        values = masks.apply(request.update_mask, request.group, ["name", "description"])
        units.named(values, "group")
        reach = domain_reach(current())

        def do(unit: Any) -> Group:
            groups.get(unit, request.id, reach)
            return messages.group(groups.update(unit, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, Group, do)

    async def DeleteGroup(self, request: pb.DeleteGroupRequest, context: Any) -> Empty:
        """Deletes a group; its members lose what they had by it."""
        caller = current()

        def do(unit: Any) -> None:
            self._given(unit, request.id, caller)
            groups.remove(unit, request.id, request.expected_revision)

        return await mutation.delete(self._database, request, do)

    async def ListMembers(self, request: pb.ListMembersRequest, context: Any) -> pb.ListMembersResponse:
        """A page of the users in a group, with little of those whom the caller does not administer."""
        caller = current()
        reach = domain_reach(caller)

        def do(unit: Any) -> Any:
            groups.get(unit, request.group_id, reach)
            return groups.listed_members(unit, request, caller)

        rows, more = await self._database.read(do)
        told = [
            messages.user(row) if reach in (None, row.domain_id) else messages.stranger(row) for row in rows
        ]
        return pb.ListMembersResponse(users=told, next_page_token=more)

    async def AddMember(self, request: pb.AddMemberRequest, context: Any) -> Empty:
        """Puts a user into a group: one of its domain, unless the caller administers all of them."""
        caller = current()

        def do(unit: Any) -> Empty:
            group = self._given(unit, request.group_id, caller)
            user = users.get(unit, request.user_id)
            if user.domain_id != group.domain_id and not is_system(caller):
                raise not_found("user", request.user_id)
            groups.add_member(unit, group.id, request.user_id)
            return Empty()

        return await mutation.change(self._database, request, Empty, do)

    async def RemoveMember(self, request: pb.RemoveMemberRequest, context: Any) -> Empty:
        """Takes a user out of a group."""
        caller = current()

        def do(unit: Any) -> Empty:
            group = self._given(unit, request.group_id, caller)
            groups.remove_member(unit, group.id, request.user_id)
            return Empty()

        return await mutation.change(self._database, request, Empty, do)

    def _given(self, connection: Any, id: str, caller: Caller) -> Any:
        """The group, whose roles the caller could give as well. Raises NOT_FOUND or PERMISSION_DENIED.

        What the group has cannot change between this and the change itself.
        """
        rights.change(connection)
        group = groups.get(connection, id, domain_reach(caller))
        giving.need_rights_of(connection, caller, group, self._project_admins)
        return group
