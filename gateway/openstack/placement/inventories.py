"""Inventories one by one: the contract sets all of a provider's, if its generation is still what was read."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.placement import providers
from weft.placement.v1 import provider_service_pb2 as pb
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub
from weft.placement.v1.resources_pb2 import Inventory, Provider

_GENERATION = "resource_provider_generation"


async def show(call: Call) -> dict[str, Any]:
    """GET /resource_providers/{id}/inventories/{name}."""
    found = await providers.get(call)
    _there(call, found)
    return _document(found, call.params["name"])


async def add(call: Call) -> Response:
    """POST /resource_providers/{id}/inventories."""
    given = dict(await call.body())
    found, name = await providers.get(call), given.pop("resource_class", None)
    if not isinstance(name, str):
        raise Refusal(400, "resource_class is a required property.")
    if any(each.resource_class == name for each in found.inventories):
        raise Refusal(409, f"Update conflict: the provider has an inventory of {name}.")
    changed = await _set(call, found, given, name)
    place = call.url(f"/resource_providers/{found.id}/inventories/{name}")
    return providers.answer(_document(changed, name), 201, {"location": place})


async def change(call: Call) -> dict[str, Any]:
    """PUT /resource_providers/{id}/inventories/{name}."""
    given, found = dict(await call.body()), await providers.get(call)
    _there(call, found)
    return _document(await _set(call, found, given, call.params["name"]), call.params["name"])


async def remove(call: Call) -> None:
    """DELETE /resource_providers/{id}/inventories/{name}."""
    found = await providers.get(call)
    _there(call, found)
    kept = [each for each in found.inventories if each.resource_class != call.params["name"]]
    await _replace(call, found, kept)


def _there(call: Call, found: Provider) -> None:
    if not any(each.resource_class == call.params["name"] for each in found.inventories):
        raise Refusal(404, f"No inventory of class {call.params['name']} for {found.id}.")


async def _set(call: Call, found: Provider, given: dict[str, Any], name: str) -> Provider:
    generation = providers.generation(given)
    if generation != found.generation:
        raise Refusal(409, "resource provider generation conflict")
    given.pop(_GENERATION)
    kept = [each for each in found.inventories if each.resource_class != name]
    return await _replace(call, found, [*kept, providers.inventory(name, given)])


async def _replace(call: Call, found: Provider, inventories: list[Inventory]) -> Provider:
    request = pb.SetInventoriesRequest(id=found.id, generation=found.generation, inventories=inventories)
    return await call.stub(ProviderServiceStub).SetInventories(request)


def _document(found: Provider, name: str) -> dict[str, Any]:
    document = providers.inventories_of(found)
    inventories: Mapping[str, Any] = document["inventories"]
    return {_GENERATION: found.generation, **inventories[name]}
