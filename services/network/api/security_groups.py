"""SecurityGroupService."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import current
from mesh.errors import invalid
from services.network import messages, model, security_groups
from services.network.api.base import Api
from services.network.store import security_groups as store
from weft.network.v1 import resources_pb2 as pb
from weft.network.v1 import security_group_service_pb2 as verbs
from weft.network.v1 import security_group_service_pb2_grpc as grpc_base


class SecurityGroups(grpc_base.SecurityGroupServiceServicer, Api):
    """What may reach ports and what they may reach."""

    async def GetSecurityGroup(
        self, request: verbs.GetSecurityGroupRequest, context: Any
    ) -> pb.SecurityGroup:
        """NOT_FOUND."""
        return messages.security_group(await self.database.read(store.get, request.id, current().reach))

    async def ListSecurityGroups(
        self, request: verbs.ListSecurityGroupsRequest, context: Any
    ) -> verbs.ListSecurityGroupsResponse:
        """PAGE_TOKEN_INVALID."""
        who = current()
        project_id = who.project_id
        if project_id and not await self.database.read(store.has_default, project_id):
            await self.database.write(store.ensure_default, project_id)
        wanted = {"name": request.name, "project_id": request.project_id}
        found, token = await self.database.read(store.page, request, who, wanted)
        shown = map(messages.security_group, found)
        return verbs.ListSecurityGroupsResponse(security_groups=shown, next_page_token=token)

    async def CreateSecurityGroup(
        self, request: verbs.CreateSecurityGroupRequest, context: Any
    ) -> pb.SecurityGroup:
        """ALREADY_EXISTS, QUOTA_EXCEEDED."""
        project_id = model.project_of(current(), request.project_id, "network.security_groups.create")
        limits = await self.limits.of(project_id)
        values = {"project_id": project_id, "name": request.name, "description": request.description}
        values["tags"] = list(request.tags)

        def create(connection: Any) -> pb.SecurityGroup:
            return messages.security_group(store.create(connection, values, limits))

        return await self.change(request, pb.SecurityGroup, create)

    async def UpdateSecurityGroup(
        self, request: verbs.UpdateSecurityGroupRequest, context: Any
    ) -> pb.SecurityGroup:
        """NOT_FOUND, REVISION_MISMATCH, ALREADY_EXISTS, WRONG_STATUS."""
        who = current()
        values = masks.apply(request.update_mask, request.security_group, ("name", "description", "tags"))
        if values.get("name", "?") == "":
            raise invalid("security_group.name", "cannot be empty")

        def update(connection: Any) -> pb.SecurityGroup:
            group = store.get(connection, request.id, who.reach, "update")
            return messages.security_group(store.update(connection, group, request.expected_revision, values))

        return await self.change(request, pb.SecurityGroup, update)

    async def DeleteSecurityGroup(self, request: verbs.DeleteSecurityGroupRequest, context: Any) -> Empty:
        """NOT_FOUND, IN_USE, WRONG_STATUS, REVISION_MISMATCH."""
        who = current()

        def delete(connection: Any) -> None:
            group = store.get(connection, request.id, who.reach, "update")
            store.delete_group(connection, group, request.expected_revision, who.reach)

        return await self.remove(request, delete)

    async def GetSecurityGroupRule(
        self, request: verbs.GetSecurityGroupRuleRequest, context: Any
    ) -> pb.SecurityGroupRule:
        """NOT_FOUND."""
        return messages.rule(await self.database.read(store.get_rule, request.id, current().reach))

    async def ListSecurityGroupRules(
        self, request: verbs.ListSecurityGroupRulesRequest, context: Any
    ) -> verbs.ListSecurityGroupRulesResponse:
        """PAGE_TOKEN_INVALID."""
        direction = pb.Direction.Name(request.direction).removeprefix("DIRECTION_")
        wanted = {
            "security_group_id": request.security_group_id,
            "direction": direction if request.direction else "",
        }
        found, token = await self.database.read(store.page_rules, request, current(), wanted)
        shown = map(messages.rule, found)
        return verbs.ListSecurityGroupRulesResponse(security_group_rules=shown, next_page_token=token)

    async def CreateSecurityGroupRule(
        self, request: verbs.CreateSecurityGroupRuleRequest, context: Any
    ) -> pb.SecurityGroupRule:
        """NOT_FOUND, ALREADY_EXISTS, QUOTA_EXCEEDED."""
        who = current()
        if (before := await mutation.before(self.database, request, pb.SecurityGroupRule)) is not None:
            return before
        spec = security_groups.normalize(messages.rule_spec(request))
        group = await self.database.read(store.get, request.security_group_id, who.reach)
        limits = await self.limits.of(group.project_id)

        def create(connection: Any) -> pb.SecurityGroupRule:
            locked = store.get(connection, request.security_group_id, who.reach, "update")
            return messages.rule(store.add_rule(connection, locked, spec, request.description, limits))

        return await self.change(request, pb.SecurityGroupRule, create)

    async def DeleteSecurityGroupRule(
        self, request: verbs.DeleteSecurityGroupRuleRequest, context: Any
    ) -> Empty:
        """NOT_FOUND, REVISION_MISMATCH."""
        who = current()

        def delete(connection: Any) -> None:
            rule = store.get_rule(connection, request.id, who.reach)
            store.delete_rule(connection, rule, request.expected_revision)

        return await self.remove(request, delete)
