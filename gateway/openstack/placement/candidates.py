"""Allocation candidates: which providers could take what is asked for."""

from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.limits import whole
from gateway.openstack.placement import names, schemas
from gateway.openstack.placement.answers import answer
from gateway.openstack.placement.queries import Marks, amounts, known, members, traits
from gateway.openstack.placement.reading import canonical, query
from weft.placement.v1 import candidate_service_pb2 as pb
from weft.placement.v1.candidate_service_pb2_grpc import CandidateServiceStub
from weft.placement.v1.resources_pb2 import Candidate, ProviderSummary, RequestGroup

# A contract's candidate does not say which of several groups is whose.
_GROUPS = "candidates are listed for one group of requirements, on one provider, which is no other's part."


async def listed(call: Call) -> Response:
    """GET /allocation_candidates, for one group of requirements."""
    given = query(call, schemas.candidates(call.microversion))
    if later := sorted(set(given) - schemas.ONE_GROUP):
        raise Refusal(501, f"{later[0]}: {_GROUPS}")
    if "resources" not in given:
        raise Refusal(400, "All request groups must specify resources.", "query.missing_value")
    resources, wanted, within = amounts(given["resources"]), traits(call), members(call)
    known(resources, await names.class_names(call), "Invalid resource class in resources parameter")
    known(wanted.names, await names.trait_names(call), "No such trait(s)")
    group = RequestGroup(
        resources=resources,
        required_traits=_all_of(wanted),
        forbidden_traits=sorted(wanted.none_of),
        member_of=_any_of(within),
        not_member_of=sorted(within.none_of),
        in_tree=canonical(given["in_tree"]) if "in_tree" in given else "",
    )
    limit = whole(given["limit"], "limit", 1) if "limit" in given else 0
    request = pb.ListCandidatesRequest(groups=[group], limit=min(limit, 10_000), share_providers=True)
    found = await call.stub(CandidateServiceStub).ListCandidates(request)
    summaries = {one.provider_id: _summary(call, one, resources) for one in found.providers}
    taken = [_candidate(call, one) for one in found.candidates]
    return answer(call, {"allocation_requests": taken, "provider_summaries": summaries})


def _all_of(wanted: Marks) -> list[str]:
    """Traits that must all be there."""
    if any(len(each) > 1 for each in wanted.any_of):
        raise Refusal(501, "required: of several traits all are asked for here, not any.")
    return sorted({name for each in wanted.any_of for name in each})


def _any_of(within: Marks) -> list[str]:
    """Aggregates that any will do of."""
    if len(within.any_of) > 1:
        raise Refusal(501, "member_of: candidates are found by one set of aggregates.")
    return sorted(within.any_of[0]) if within.any_of else []


def _candidate(call: Call, one: Candidate) -> dict[str, Any]:
    taken = {each.provider_id: dict(each.resources) for each in one.allocations}
    if call.microversion < (1, 12):
        return {
            "allocations": [
                {"resource_provider": {"uuid": id}, "resources": each} for id, each in taken.items()
            ]
        }
    shown: dict[str, Any] = {"allocations": {id: {"resources": each} for id, each in taken.items()}}
    if call.microversion >= (1, 34):
        shown["mappings"] = {"": list(taken)}
    return shown


def _summary(call: Call, one: ProviderSummary, asked: dict[str, int]) -> dict[str, Any]:
    """Before 1.27 only of the classes that are asked for."""
    shown: dict[str, Any] = {
        "resources": {
            name: {"capacity": capacity, "used": one.used[name]}
            for name, capacity in one.capacity.items()
            if name in asked or call.microversion >= (1, 27)
        }
    }
    if call.microversion >= (1, 17):
        shown["traits"] = list(one.traits)
    if call.microversion >= (1, 29):
        shown |= {"parent_provider_uuid": one.parent_id or None, "root_provider_uuid": one.root_id}
    return shown
