"""What belongs to a provider beside its inventories: traits, aggregates, what is used."""

from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.placement import names, schemas
from gateway.openstack.placement.answers import answer
from gateway.openstack.placement.providers import generation, get, read_generation
from gateway.openstack.placement.reading import body, canonical
from gateway.openstack.placement.refusals import GENERATION, refusing
from weft.placement.v1 import provider_service_pb2 as pb
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub
from weft.placement.v1.resources_pb2 import Provider

_CHANGED = "Resource provider's generation already changed. Please update the generation and try again."


async def usages(call: Call) -> Response:
    """GET /resource_providers/{id}/usages."""
    found = await get(call)
    used = {each.resource_class: each.used for each in found.inventories}
    return answer(call, {"resource_provider_generation": generation(found), "usages": used})


async def traits(call: Call) -> Response:
    """GET /resource_providers/{id}/traits."""
    return _traits(call, await get(call))


async def set_traits(call: Call) -> Response:
    """PUT /resource_providers/{id}/traits: all of them."""
    given, found = await body(call, schemas.TRAITS), await get(call)
    at = read_generation(call, given["resource_provider_generation"], found, _CHANGED)
    missing = sorted(set(given["traits"]) - await names.trait_names(call))
    if missing:
        raise Refusal(400, f"No such trait {', '.join(missing)}")
    wanted = sorted(set(given["traits"]))
    request = pb.SetTraitsRequest(id=found.id, generation=at, traits=wanted)
    with refusing({"GENERATION_CONFLICT": (409, _CHANGED, "concurrent_update")}):
        return _traits(call, await call.stub(ProviderServiceStub).SetTraits(request))


async def remove_traits(call: Call) -> Response:
    """DELETE /resource_providers/{id}/traits."""
    found = await get(call)
    request = pb.SetTraitsRequest(id=found.id, generation=found.generation, traits=[])
    with refusing({"GENERATION_CONFLICT": GENERATION}):
        await call.stub(ProviderServiceStub).SetTraits(request)
    return Response(status_code=204)


async def aggregates(call: Call) -> Response:
    """GET /resource_providers/{id}/aggregates."""
    found = await get(call)
    return _aggregates(call, found, list(found.aggregate_ids))


async def set_aggregates(call: Call) -> Response:
    """PUT /resource_providers/{id}/aggregates: all of them; from 1.19 on if nothing else has changed."""
    found, given = await get(call), await body(call, schemas.aggregates(call.microversion))
    at = 0
    if call.microversion >= (1, 19):
        at = read_generation(call, given["resource_provider_generation"], found)
        given = given["aggregates"]
    wanted = [canonical(id) for id in given]
    request = pb.SetAggregatesRequest(id=found.id, generation=at, aggregate_ids=wanted)
    with refusing({"GENERATION_CONFLICT": GENERATION}):
        changed = await call.stub(ProviderServiceStub).SetAggregates(request)
    return _aggregates(call, changed, wanted)


def _traits(call: Call, found: Provider) -> Response:
    shown = {"resource_provider_generation": generation(found), "traits": list(found.traits)}
    return answer(call, shown, changed=found.updated_at)


def _aggregates(call: Call, found: Provider, ids: list[str]) -> Response:
    shown: dict[str, Any] = {"aggregates": ids}
    if call.microversion >= (1, 19):
        shown["resource_provider_generation"] = generation(found)
    return answer(call, shown, changed=found.updated_at)
