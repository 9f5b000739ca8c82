"""Who has allocations: as Placement shows them, and as its bodies say that they are to be."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.placement import schemas
from gateway.openstack.placement.answers import answer
from gateway.openstack.placement.reading import canonical, query
from weft.placement.v1 import allocation_service_pb2 as pb
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub
from weft.placement.v1.resources_pb2 import Allocation, Consumer

# What stands for nobody where a body does not say who, and for a type that nobody has said.
_NOBODY, _UNKNOWN = "00000000-0000-0000-0000-000000000000", "unknown"


def uuid_of(id: str) -> str:
    """The id of a consumer, with dashes. Raises Refusal for what cannot be one."""
    try:
        return canonical(id)
    except ValueError as error:
        raise Refusal(400, f"Malformed consumer_uuid: {id}") from error


async def get(call: Call, id: str) -> Consumer:
    """The consumer, without allocations where there is none. Ids that cannot be are nobody's."""
    try:
        request = pb.GetAllocationsRequest(consumer_id=uuid_of(id))
    except Refusal:
        return Consumer()
    return await call.stub(AllocationServiceStub).GetAllocations(request)


def shown(call: Call, consumer: Consumer) -> dict[str, Any]:
    """What is told of a consumer beside what it has."""
    said: dict[str, Any] = {}
    if call.microversion >= (1, 12):
        said |= {"project_id": consumer.project_id or _NOBODY, "user_id": consumer.user_id or _NOBODY}
    if call.microversion >= (1, 28):
        said["consumer_generation"] = consumer.generation
    if call.microversion >= (1, 38):
        said["consumer_type"] = consumer.consumer_type or _UNKNOWN
    return said


async def wanted(call: Call, id: str, given: Mapping[str, Any]) -> Consumer:
    """A consumer as a body says; what a version does not say stays as it is."""
    before = await get(call, id)
    kind = given.get("consumer_type", before.consumer_type)
    return Consumer(
        id=id,
        consumer_type="" if kind == _UNKNOWN else kind,
        project_id=_id(given, "project_id", before.project_id),
        user_id=_id(given, "user_id", before.user_id),
        generation=given.get("consumer_generation") or 0,
        allocations=_held(given["allocations"]),
    )


def _id(given: Mapping[str, Any], name: str, before: str) -> str:
    """Whoever it is, it is somebody of identity's: by a UUID."""
    if name not in given:
        return before
    try:
        return canonical(given[name])
    except ValueError as error:
        raise Refusal(400, f"{name}: {given[name]!r:.60} is not a 'uuid'") from error


def _held(given: Any) -> list[Allocation]:
    """Allocations by provider, or listed as they were before 1.12."""
    if isinstance(given, list):
        pairs = [(each["resource_provider"]["uuid"], each["resources"]) for each in given]
    else:
        pairs = [(id, each["resources"]) for id, each in given.items()]
    return [Allocation(provider_id=canonical(id), resources=resources) for id, resources in pairs]


async def usages(call: Call) -> Response:
    """GET /usages of a project, and of one user in it; from 1.38 on by what the consumers are."""
    given = query(call, schemas.usages(call.microversion))
    request = pb.GetUsagesRequest(project_id=_id(given, "project_id", ""), user_id=_id(given, "user_id", ""))
    found = await call.stub(AllocationServiceStub).GetUsages(request)
    if call.microversion < (1, 38):
        return answer(call, {"usages": dict(found.usages)})
    if given.get("consumer_type") == "all":
        count = sum(each.consumers for each in found.by_type)
        together = {"all": {"consumer_count": count, **found.usages}} if count else {}
        return answer(call, {"usages": together})
    by_type = {
        each.consumer_type or _UNKNOWN: {"consumer_count": each.consumers, **each.usages}
        for each in found.by_type
    }
    if "consumer_type" in given:
        by_type = {name: each for name, each in by_type.items() if name == given["consumer_type"]}
    return answer(call, {"usages": by_type})
