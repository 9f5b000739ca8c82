"""Allocations of consumers."""

from typing import Any

from gateway.openstack.call import Call, field, refuse_unknown
from gateway.openstack.faults import Refusal
from gateway.openstack.lists import walk
from weft.placement.v1 import allocation_service_pb2 as pb
from weft.placement.v1 import provider_service_pb2
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub
from weft.placement.v1.resources_pb2 import Allocation, Consumer

_FIELDS = {"allocations", "project_id", "user_id", "consumer_generation", "consumer_type"}


async def show(call: Call) -> dict[str, Any]:
    """GET /allocations/{consumer_id}; a consumer that has nothing is an empty answer."""
    request = pb.GetAllocationsRequest(consumer_id=call.params["consumer_id"])
    consumer = await call.stub(AllocationServiceStub).GetAllocations(request)
    if not consumer.allocations:
        return {"allocations": {}}
    held = {each.provider_id: {"resources": dict(each.resources)} for each in consumer.allocations}
    return {
        "allocations": held,
        "project_id": consumer.project_id,
        "user_id": consumer.user_id,
        "consumer_generation": consumer.generation,
        "consumer_type": consumer.consumer_type,
    }


async def replace(call: Call) -> None:
    """PUT /allocations/{consumer_id}: all that it has."""
    body = await call.body()
    refuse_unknown(body, _FIELDS)
    if "consumer_generation" not in body:
        raise Refusal(400, "consumer_generation is a required property.")
    consumer = Consumer(
        id=call.params["consumer_id"],
        consumer_type=field(body, "consumer_type", str),
        project_id=field(body, "project_id", str),
        user_id=field(body, "user_id", str),
        generation=field(body, "consumer_generation", int, 0),
        allocations=[_allocation(id, each) for id, each in field(body, "allocations", dict).items()],
    )
    await call.stub(AllocationServiceStub).SetAllocations(pb.SetAllocationsRequest(consumers=[consumer]))


async def replace_many(call: Call) -> None:
    """POST /allocations: all that several consumers have, in one change; one may be left with nothing."""
    body = await call.body()
    consumers = []
    for id, each in body.items():
        given = each if isinstance(each, dict) else {}
        refuse_unknown(given, _FIELDS)
        held = field(given, "allocations", dict)
        consumers.append(
            Consumer(
                id=id,
                consumer_type=field(given, "consumer_type", str, "")
                if not held
                else field(given, "consumer_type", str),
                project_id=field(given, "project_id", str),
                user_id=field(given, "user_id", str),
                generation=field(given, "consumer_generation", int, 0),
                allocations=[_allocation(provider, one) for provider, one in held.items()],
            )
        )
    if not consumers:
        raise Refusal(400, "The body names no consumer.")
    await call.stub(AllocationServiceStub).SetAllocations(pb.SetAllocationsRequest(consumers=consumers))


async def usages(call: Call) -> dict[str, Any]:
    """GET /usages of a project, and of one user in it; all consumers together."""
    refuse_unknown(call.query, {"project_id", "user_id", "consumer_type"})
    if call.query.get("consumer_type", "all") != "all":
        raise Refusal(501, "consumer_type: what is used is counted for all together.")
    if not call.query.get("project_id"):
        raise Refusal(400, "project_id is a required property.")
    request = pb.GetUsagesRequest(project_id=call.query["project_id"], user_id=call.query.get("user_id", ""))
    used = dict((await call.stub(AllocationServiceStub).GetUsages(request)).usages)
    return {"usages": {"all": used} if used else {}}


async def delete(call: Call) -> None:
    """DELETE /allocations/{consumer_id}; one that has none is not there."""
    stub, id = call.stub(AllocationServiceStub), call.params["consumer_id"]
    held = await stub.GetAllocations(pb.GetAllocationsRequest(consumer_id=id))
    if not held.allocations:
        raise Refusal(404, f"No allocations for consumer '{id}'.")
    await stub.DeleteAllocations(pb.DeleteAllocationsRequest(consumer_id=id))


async def of_provider(call: Call) -> dict[str, Any]:
    """GET /resource_providers/{id}/allocations."""
    provider = await call.stub(ProviderServiceStub).GetProvider(
        provider_service_pb2.GetProviderRequest(id=call.params["id"])
    )
    request = pb.ListProviderAllocationsRequest(provider_id=provider.id)
    found = walk(call.stub(AllocationServiceStub).ListProviderAllocations, request, "consumers")
    held = {
        each.id: {
            "resources": {name: amount for one in each.allocations for name, amount in one.resources.items()},
            "consumer_generation": each.generation,
        }
        async for each in found
    }
    return {"allocations": held, "resource_provider_generation": provider.generation}


def _allocation(provider_id: str, given: Any) -> Allocation:
    resources = field(given, "resources", dict) if isinstance(given, dict) else None
    if not resources or not all(type(amount) is int and 0 < amount < 2**31 for amount in resources.values()):
        raise Refusal(400, f"allocations.{provider_id}: must be an object with amounts named resources.")
    return Allocation(provider_id=provider_id, resources=resources)
