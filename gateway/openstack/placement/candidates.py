"""Allocation candidates: which providers could take what is asked for."""

from typing import Any

from gateway.openstack.call import Call, refuse_unknown
from gateway.openstack.faults import Refusal
from gateway.openstack.limits import whole
from gateway.openstack.placement.queries import amounts, members, traits
from weft.placement.v1 import candidate_service_pb2 as pb
from weft.placement.v1.candidate_service_pb2_grpc import CandidateServiceStub
from weft.placement.v1.resources_pb2 import Candidate, ProviderSummary, RequestGroup

_KNOWN = {"resources", "required", "member_of", "in_tree", "limit"}
# Of Placement's later ways to ask; a contract's candidate does not say which group is whose.
_LATER = ("group_policy", "root_required", "same_subtree")


async def listed(call: Call) -> dict[str, Any]:
    """GET /allocation_candidates, for one group of requirements."""
    for name in call.query:
        if name in _LATER or (name.rstrip("0123456789_-") != name and name not in _KNOWN):
            raise Refusal(501, f"{name}: candidates are listed for one group of requirements.")
    refuse_unknown(call.query, _KNOWN)
    if not call.query.get("resources"):
        raise Refusal(400, "All request groups must specify resources.")
    needed, forbidden = traits(call)
    within, outside = members(call)
    group = RequestGroup(
        resources=amounts(call),
        required_traits=needed,
        forbidden_traits=forbidden,
        member_of=within,
        not_member_of=outside,
        in_tree=call.query.get("in_tree", ""),
    )
    limit = whole(call.query.get("limit", "0"), "limit", 1 if "limit" in call.query else 0)
    request = pb.ListCandidatesRequest(groups=[group], limit=min(limit, 10_000), share_providers=True)
    answer = await call.stub(CandidateServiceStub).ListCandidates(request)
    return {
        "allocation_requests": [_candidate(one) for one in answer.candidates],
        "provider_summaries": {one.provider_id: _summary(one) for one in answer.providers},
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    taken = {each.provider_id: {"resources": dict(each.resources)} for each in one.allocations}
    return {"allocations": taken, "mappings": {"": list(taken)}}


def _summary(one: ProviderSummary) -> dict[str, Any]:
    return {
        "resources": {
            name: {"capacity": capacity, "used": one.used[name]} for name, capacity in one.capacity.items()
        },
        "traits": list(one.traits),
        "parent_provider_uuid": one.parent_id or None,
        "root_provider_uuid": one.root_id,
    }
