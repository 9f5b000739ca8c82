"""Resource providers and what belongs to them."""

from typing import Any

import orjson
from starlette.responses import Response

from gateway.openstack.call import Call, field, refuse_unknown
from gateway.openstack.faults import Refusal
from gateway.openstack.lists import walk
from gateway.openstack.placement.queries import amounts, members
from gateway.openstack.placement.queries import traits as traits_of
from weft.placement.v1 import provider_service_pb2 as pb
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub
from weft.placement.v1.resources_pb2 import Inventory, Provider

# What Placement takes for what is not said; its largest unit is not bound to the total.
_DEFAULTS = {"reserved": 0, "min_unit": 1, "max_unit": 2**31 - 1, "step_size": 1}
_NUMBERS = ("total", *_DEFAULTS)
_PARTS = ("inventories", "usages", "aggregates", "traits", "allocations")
_GENERATION = "resource_provider_generation"


def document(provider: Provider) -> dict[str, Any]:
    """A provider as Placement shows it."""
    path = f"/placement/resource_providers/{provider.id}"
    parts = [{"rel": part, "href": f"{path}/{part}"} for part in _PARTS]
    return {
        "uuid": provider.id,
        "name": provider.name,
        "generation": provider.generation,
        "parent_provider_uuid": provider.parent_id or None,
        "root_provider_uuid": provider.root_id,
        "links": [{"rel": "self", "href": path}, *parts],
    }


async def listed(call: Call) -> dict[str, Any]:
    """GET /resource_providers: by name, uuid, in_tree, resources, required and member_of."""
    refuse_unknown(call.query, {"name", "uuid", "in_tree", "resources", "required", "member_of"})
    wanted = call.query.get("uuid")
    found = walk(call.stub(ProviderServiceStub).ListProviders, _filter(call), "providers")
    documents = [document(each) async for each in found if wanted in (None, each.id)]
    return {"resource_providers": documents}


async def show(call: Call) -> dict[str, Any]:
    """GET /resource_providers/{id}."""
    return document(await get(call))


async def create(call: Call) -> dict[str, Any]:
    """POST /resource_providers."""
    body = await call.body()
    refuse_unknown(body, {"name", "uuid", "parent_provider_uuid"})
    made = await call.stub(ProviderServiceStub).CreateProvider(
        pb.CreateProviderRequest(
            id=field(body, "uuid", str, ""),
            name=field(body, "name", str),
            parent_id=field(body, "parent_provider_uuid", str, ""),
        )
    )
    return document(made)


async def update(call: Call) -> dict[str, Any]:
    """PUT /resource_providers/{id}."""
    body = await call.body()
    refuse_unknown(body, {"name", "parent_provider_uuid"})
    changed = await call.stub(ProviderServiceStub).UpdateProvider(
        pb.UpdateProviderRequest(
            id=call.params["id"],
            name=field(body, "name", str),
            parent_id=field(body, "parent_provider_uuid", str, ""),
        )
    )
    return document(changed)


async def delete(call: Call) -> None:
    """DELETE /resource_providers/{id}."""
    await call.stub(ProviderServiceStub).DeleteProvider(pb.DeleteProviderRequest(id=call.params["id"]))


async def inventories(call: Call) -> dict[str, Any]:
    """GET /resource_providers/{id}/inventories."""
    return inventories_of(await get(call))


async def set_inventories(call: Call) -> dict[str, Any]:
    """PUT /resource_providers/{id}/inventories: all of them."""
    body = await call.body()
    given = [inventory(name, each) for name, each in field(body, "inventories", dict).items()]
    changed = await call.stub(ProviderServiceStub).SetInventories(
        pb.SetInventoriesRequest(id=call.params["id"], generation=generation(body), inventories=given)
    )
    return inventories_of(changed)


async def clear_inventories(call: Call) -> None:
    """DELETE /resource_providers/{id}/inventories."""
    await call.stub(ProviderServiceStub).SetInventories(pb.SetInventoriesRequest(id=call.params["id"]))


async def usages(call: Call) -> dict[str, Any]:
    """GET /resource_providers/{id}/usages."""
    found = await get(call)
    used = {each.resource_class: each.used for each in found.inventories}
    return {_GENERATION: found.generation, "usages": used}


async def traits(call: Call) -> dict[str, Any]:
    """GET /resource_providers/{id}/traits."""
    return _traits(await get(call))


async def set_traits(call: Call) -> dict[str, Any]:
    """PUT /resource_providers/{id}/traits: all of them."""
    body = await call.body()
    request = pb.SetTraitsRequest(
        id=call.params["id"], generation=generation(body), traits=_texts(body, "traits")
    )
    return _traits(await call.stub(ProviderServiceStub).SetTraits(request))


async def aggregates(call: Call) -> dict[str, Any]:
    """GET /resource_providers/{id}/aggregates."""
    return _aggregates(await get(call))


async def set_aggregates(call: Call) -> dict[str, Any]:
    """PUT /resource_providers/{id}/aggregates: all of them."""
    body = await call.body()
    request = pb.SetAggregatesRequest(
        id=call.params["id"], generation=generation(body), aggregate_ids=_texts(body, "aggregates")
    )
    return _aggregates(await call.stub(ProviderServiceStub).SetAggregates(request))


async def get(call: Call) -> Provider:
    return await call.stub(ProviderServiceStub).GetProvider(pb.GetProviderRequest(id=call.params["id"]))


def _filter(call: Call) -> pb.ListProvidersRequest:
    needed, forbidden = traits_of(call)
    within, outside = members(call)
    if forbidden or outside:
        raise Refusal(501, "Providers are listed by what they have, not by what they have not.")
    return pb.ListProvidersRequest(
        name=call.query.get("name", ""),
        in_tree=call.query.get("in_tree", ""),
        resources=amounts(call),
        required_traits=needed,
        member_of=within,
    )


def answer(document: dict[str, Any], status: int, headers: dict[str, str]) -> Response:
    """An answer that has headers."""
    return Response(orjson.dumps(document), status, headers, media_type="application/json")


async def remove_traits(call: Call) -> None:
    """DELETE /resource_providers/{id}/traits."""
    found = await get(call)
    request = pb.SetTraitsRequest(id=found.id, generation=found.generation, traits=[])
    await call.stub(ProviderServiceStub).SetTraits(request)


def generation(body: dict[str, Any]) -> int:
    """The generation that was read; a provider's first is 1, so that 0 never was."""
    found = field(body, _GENERATION, int)
    if found == 0:
        raise Refusal(409, "resource provider generation conflict: no provider has generation 0.")
    return found


def _texts(body: dict[str, Any], name: str) -> list[str]:
    given = field(body, name, list)
    if not all(isinstance(each, str) for each in given):
        raise Refusal(400, f"{name}: must be a list of strings.")
    return given


def inventory(name: str, given: Any) -> Inventory:
    if not isinstance(given, dict):
        raise Refusal(400, f"inventories.{name}: must be an object.")
    refuse_unknown(given, {*_NUMBERS, "allocation_ratio"})
    numbers = {key: field(given, key, int, default) for key, default in _DEFAULTS.items()}
    ratio = given.get("allocation_ratio", 1.0)
    if isinstance(ratio, bool) or not isinstance(ratio, int | float):
        raise Refusal(400, f"inventories.{name}.allocation_ratio: must be a number.")
    return Inventory(resource_class=name, total=field(given, "total", int), allocation_ratio=ratio, **numbers)


def inventories_of(provider: Provider) -> dict[str, Any]:
    shown = {
        each.resource_class: {
            **{name: getattr(each, name) for name in _NUMBERS},
            "allocation_ratio": each.allocation_ratio,
        }
        for each in provider.inventories
    }
    return {_GENERATION: provider.generation, "inventories": shown}


def _traits(provider: Provider) -> dict[str, Any]:
    return {_GENERATION: provider.generation, "traits": list(provider.traits)}


def _aggregates(provider: Provider) -> dict[str, Any]:
    return {_GENERATION: provider.generation, "aggregates": list(provider.aggregate_ids)}
