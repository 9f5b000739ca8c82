"""Inventories: the contract sets all of a provider's, if its generation is still what was read."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import NotAllowed, Refusal
from gateway.openstack.placement import names, schemas
from gateway.openstack.placement.answers import answer
from gateway.openstack.placement.providers import generation, get, read_generation
from gateway.openstack.placement.reading import body
from gateway.openstack.placement.refusals import GENERATION, refusing
from weft.placement.v1 import provider_service_pb2 as pb
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub
from weft.placement.v1.resources_pb2 import Inventory, Provider

# What Placement takes for what is not said; its largest unit is not bound to the total.
_DEFAULTS = {"reserved": 0, "min_unit": 1, "max_unit": 2**31 - 1, "step_size": 1, "allocation_ratio": 1.0}
_FIELDS = ("total", *_DEFAULTS)
_GENERATION = "resource_provider_generation"


def inventory(call: Call, name: str, given: Mapping[str, Any], words: str) -> Inventory:
    """One inventory of a body. Raises Refusal where more is kept back than there may be."""
    values = {**_DEFAULTS, **{key: given[key] for key in _FIELDS if key in given}}
    most = values["total"] if call.microversion >= (1, 26) else values["total"] - 1
    if values["reserved"] > most:
        than = "greater than" if call.microversion >= (1, 26) else "greater than or equal to"
        why = f"Invalid inventory for '{name}'. The reserved value is {than} total"
        raise Refusal(400, f"{words}: {why}.")
    return Inventory(resource_class=name, **values)


def document(found: Provider) -> dict[str, Any]:
    """All inventories as Placement shows them."""
    shown = {each.resource_class: _one(each) for each in found.inventories}
    return {_GENERATION: generation(found), "inventories": shown}


def _one(each: Inventory) -> dict[str, Any]:
    return {name: getattr(each, name) for name in _FIELDS}


async def listed(call: Call) -> Response:
    """GET /resource_providers/{id}/inventories."""
    found = await get(call)
    return answer(call, document(found), changed=found.updated_at)


async def replace(call: Call) -> Response:
    """PUT /resource_providers/{id}/inventories: all of them."""
    given, found = await body(call, schemas.INVENTORIES), await get(call)
    at = read_generation(call, given[_GENERATION], found)
    words = f"Unknown resource class in inventory for resource provider {found.id}"
    await names.need_classes(call, given["inventories"], words)
    words = f"Unable to update inventory for resource provider {found.id}"
    wanted = [inventory(call, name, each, words) for name, each in given["inventories"].items()]
    changed = await _set(call, found, wanted, at)
    return answer(call, document(changed), changed=changed.updated_at)


async def clear(call: Call) -> Response:
    """DELETE /resource_providers/{id}/inventories, from 1.5 on."""
    if call.microversion < (1, 5):
        raise NotAllowed("DELETE", ("GET", "POST", "PUT"))
    found = await get(call)
    await _set(call, found, [], found.generation)
    return Response(status_code=204)


async def show(call: Call) -> Response:
    """GET /resource_providers/{id}/inventories/{name}."""
    found, name = await get(call), call.params["name"]
    return _answer(call, found, _held(found, name, f"No inventory of class {name} for {found.id}"))


async def add(call: Call) -> Response:
    """POST /resource_providers/{id}/inventories."""
    given, found = await body(call, schemas.NEW_INVENTORY), await get(call)
    name = given["resource_class"]
    words = f"Unable to create inventory for resource provider {found.id}"
    at = read_generation(call, given[_GENERATION], found) if _GENERATION in given else found.generation
    await names.need_classes(call, {name}, words)
    made = inventory(call, name, given, words)
    if any(each.resource_class == name for each in found.inventories):
        raise Refusal(409, f"Update conflict: the provider has an inventory of {name}.", "concurrent_update")
    changed = await _set(call, found, [*found.inventories, made], at)
    place = f"/resource_providers/{found.id}/inventories/{name}"
    return _answer(call, changed, _held(changed, name, "No inventory"), 201, place)


async def change(call: Call) -> Response:
    """PUT /resource_providers/{id}/inventories/{name}."""
    given, found, name = await body(call, schemas.INVENTORY), await get(call), call.params["name"]
    at = read_generation(call, given[_GENERATION], found)
    made = inventory(call, name, given, f"Unable to update inventory for resource provider {found.id}")
    kept = [each for each in found.inventories if each.resource_class != name]
    if len(kept) == len(found.inventories):
        words = f"No inventory record with resource class for resource provider {found.id}"
        raise Refusal(400, f"{words}: {name}.")
    changed = await _set(call, found, [*kept, made], at)
    return _answer(call, changed, _held(changed, name, "No inventory"))


async def remove(call: Call) -> Response:
    """DELETE /resource_providers/{id}/inventories/{name}."""
    found, name = await get(call), call.params["name"]
    _held(found, name, f"No inventory of class {name} found for delete")
    kept = [each for each in found.inventories if each.resource_class != name]
    await _set(call, found, kept, found.generation)
    return Response(status_code=204)


def _held(found: Provider, name: str, words: str) -> Inventory:
    for each in found.inventories:
        if each.resource_class == name:
            return each
    raise Refusal(404, words)


def in_use(found: Provider, wanted: list[Inventory]) -> str:
    """What to say when one that goes is in use."""
    kept = {each.resource_class for each in wanted}
    used = [
        each.resource_class for each in found.inventories if each.used and each.resource_class not in kept
    ]
    used.sort(key=names.standard_order)
    return f"update conflict: Inventory for '{', '.join(used)}' on resource provider '{found.id}' in use"


async def _set(call: Call, found: Provider, wanted: list[Inventory], at: int) -> Provider:
    request = pb.SetInventoriesRequest(id=found.id, generation=at, inventories=wanted)
    cases = {"GENERATION_CONFLICT": GENERATION, "IN_USE": (409, in_use(found, wanted), "inventory.inuse")}
    with refusing(cases):
        return await call.stub(ProviderServiceStub).SetInventories(request)


def _answer(call: Call, found: Provider, one: Inventory, status: int = 200, place: str = "") -> Response:
    shown = {_GENERATION: generation(found), **_one(one)}
    return answer(call, shown, status, changed=found.updated_at, location=place)
