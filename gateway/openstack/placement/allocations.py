"""Allocations of consumers, and inventories that change along with them."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.placement import consumers, inventories, names, providers, schemas
from gateway.openstack.placement.answers import answer
from gateway.openstack.placement.reading import body
from mesh.errors import CloudError
from mesh.lists import walk
from weft.placement.v1 import allocation_service_pb2 as pb
from weft.placement.v1 import provider_service_pb2
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub
from weft.placement.v1.resources_pb2 import Consumer, Provider

_UNABLE = "Unable to allocate inventory"


async def show(call: Call) -> Response:
    """GET /allocations/{consumer_id}; a consumer that has nothing is an empty answer."""
    consumer = await consumers.get(call, call.params["consumer_id"])
    held = {
        each.provider_id: {
            "generation": providers.generation(await _provider(call, each.provider_id)),
            "resources": dict(each.resources),
        }
        for each in consumer.allocations
    }
    return answer(call, {"allocations": held, **(consumers.shown(call, consumer) if held else {})})


async def replace(call: Call) -> Response:
    """PUT /allocations/{consumer_id}: all that it has."""
    id = consumers.uuid_of(call.params["consumer_id"])
    given = await body(call, schemas.allocations(call.microversion))
    await _change(call, {id: given}, f"{_UNABLE} for consumer {id}")
    return answer(call, None, 204)


async def replace_many(call: Call) -> Response:
    """POST /allocations: all that several consumers have, in one change; one may be left with nothing."""
    given = await body(call, schemas.many_allocations(call.microversion))
    await _change(call, given, _UNABLE)
    return answer(call, None, 204)


async def reshape(call: Call) -> Response:
    """POST /reshaper: inventories of providers and allocations of consumers, in one change."""
    given = await body(call, schemas.reshaping(call.microversion))
    changed = [await _reshaped(call, id, each) for id, each in given["inventories"].items()]
    await _change(call, given["allocations"], _UNABLE, changed)
    return answer(call, None, 204)


async def _reshaped(call: Call, id: str, given: Mapping[str, Any]) -> pb.ProviderInventories:
    try:
        found = await _provider(call, id)
    except CloudError as error:
        why = f"Resource provider {id}: {error.message}"
        raise Refusal(400, why, "resource_provider.not_found") from error
    words = f"Unable to reshape resource provider {id}"
    await names.need_classes(call, given["inventories"], words)
    return pb.ProviderInventories(
        provider_id=id,
        generation=providers.read_generation(call, given["resource_provider_generation"], found),
        inventories=[
            inventories.inventory(call, name, each, words) for name, each in given["inventories"].items()
        ],
    )


async def _change(
    call: Call,
    given: Mapping[str, Mapping[str, Any]],
    words: str,
    reshaped: list[pb.ProviderInventories] | None = None,
) -> None:
    wanted = [await consumers.wanted(call, id, each) for id, each in given.items()]
    classes = {name for each in wanted for held in each.allocations for name in held.resources}
    await names.need_classes(call, classes, words)
    request = pb.SetAllocationsRequest(
        consumers=wanted, force=call.microversion < (1, 28), inventories=reshaped or []
    )
    try:
        await call.stub(AllocationServiceStub).SetAllocations(request)
    except CloudError as error:
        raise await _refusal(call, error, words, wanted) from error


async def _refusal(call: Call, error: CloudError, words: str, wanted: list[Consumer]) -> Exception:
    """What to say instead of an error of the contract."""
    said = error.metadata
    match error.reason:
        case "NOT_FOUND":
            why = f"Allocation for resource provider '{said.get('id')}' that does not exist."
            return Refusal(400, f"{words}: {why}", "resource_provider.not_found")
        case "GENERATION_CONFLICT" if said["provider_id"] in {each.id for each in wanted}:
            given = {each.id: each.generation for each in wanted}[said["provider_id"]]
            actual = said["actual"] if said["actual"] != "0" else "null"
            why = f"consumer generation conflict - expected {actual} but got {given or 'null'}"
            return Refusal(409, why, "concurrent_update")
        case "GENERATION_CONFLICT":
            return Refusal(409, f"{words}: {error.message}", "concurrent_update")
        case "CAPACITY_EXCEEDED":
            return Refusal(409, f"{words}: {await _lacking(call, said)}")
        case "IN_USE":
            return Refusal(409, f"{words}: {error.message}", "inventory.inuse")
    return error


async def _lacking(call: Call, said: Mapping[str, str]) -> str:
    id, name = said["provider_id"], said["resource_class"]
    held = {each.resource_class: each for each in (await _provider(call, id)).inventories}
    if name not in held:
        return f"Inventory for '{name}' on resource provider '{id}' invalid."
    one = held[name]
    amount = int(said["requested"])
    if not one.min_unit <= amount <= one.max_unit or amount % one.step_size:
        why = "The requested amount would violate inventory constraints."
        return f"Unable to create allocation for '{name}' on resource provider '{id}'. {why}"
    why = "The requested amount would exceed the capacity."
    return f"Unable to create allocation for '{name}' on resource provider '{id}'. {why}"


async def delete(call: Call) -> Response:
    """DELETE /allocations/{consumer_id}; one that has none is not there."""
    found = await consumers.get(call, call.params["consumer_id"])
    if not found.allocations:
        raise Refusal(404, f"No allocations for consumer '{call.params['consumer_id']}'")
    request = pb.DeleteAllocationsRequest(consumer_id=found.id)
    await call.stub(AllocationServiceStub).DeleteAllocations(request)
    return Response(status_code=204)


async def of_provider(call: Call) -> Response:
    """GET /resource_providers/{id}/allocations."""
    provider = await providers.get(call)
    request = pb.ListProviderAllocationsRequest(provider_id=provider.id)
    held: dict[str, Any] = {}
    async for each in walk(call.stub(AllocationServiceStub).ListProviderAllocations, request, "consumers"):
        resources = {name: amount for one in each.allocations for name, amount in one.resources.items()}
        held[each.id] = {"resources": resources}
        if call.microversion >= (1, 28):
            held[each.id]["consumer_generation"] = each.generation
    shown = {"allocations": held, "resource_provider_generation": providers.generation(provider)}
    return answer(call, shown)


async def _provider(call: Call, id: str) -> Provider:
    request = provider_service_pb2.GetProviderRequest(id=id)
    return await call.stub(ProviderServiceStub).GetProvider(request)
