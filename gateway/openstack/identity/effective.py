"""Who has which role on one target, all counted: by groups, from above, and by what a role implies."""

from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.identity.documents import listing
from mesh.lists import walk
from weft.identity.v1 import role_service_pb2 as pb
from weft.identity.v1.resources_pb2 import EffectiveAssignment
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub

_TARGETS = {"project_id": "scope.project.id", "domain_id": "scope.domain.id"}


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/role_assignments?effective, on the target that the query names."""
    if call.query.get("include_names") or call.query.get("group.id"):
        raise Refusal(501, "What holds in effect is users' alone, and told by ids.")
    target: dict[str, Any] = {ours: call.query[name] for ours, name in _TARGETS.items() if name in call.query}
    if "scope.system" in call.query:
        target["system"] = True
    if len(target) != 1:
        raise Refusal(
            501, "What holds in effect is told for one target: name a project, domain or the system."
        )
    request = pb.ListEffectiveAssignmentsRequest(user_id=call.query.get("user.id", ""), **target)
    found = walk(call.stub(RoleServiceStub).ListEffectiveAssignments, request, "assignments")
    global_ones = walk(call.stub(RoleServiceStub).ListRoles, pb.ListRolesRequest(), "roles")
    # A domain's role is never in a token: it stands for the global ones that it implies.
    shown = {role.id async for role in global_ones if not role.domain_id}
    wanted = call.query.get("role.id")
    return listing(
        call,
        "role_assignments",
        [
            _document(call, each, target)
            async for each in found
            if each.role_id in shown and wanted in (None, each.role_id)
        ],
    )


def _document(call: Call, each: EffectiveAssignment, target: dict[str, Any]) -> dict[str, Any]:
    (kind, id), *_ = target.items()
    noun = kind.removesuffix("_id")
    scope = {"system": {"all": True}} if kind == "system" else {noun: {"id": id}}
    where = "system" if kind == "system" else f"{noun}s/{id}"
    links: dict[str, str] = {"assignment": call.url(f"/v3/{where}/users/{each.user_id}/roles/{each.role_id}")}
    return {"role": {"id": each.role_id}, "user": {"id": each.user_id}, "scope": scope, "links": links}
