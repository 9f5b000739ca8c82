"""Resource providers."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.placement import names, schemas
from gateway.openstack.placement.answers import answer, latest
from gateway.openstack.placement.queries import amounts, known, members, traits
from gateway.openstack.placement.reading import body, canonical, query
from gateway.openstack.placement.refusals import Cases, provider_missing, refusing
from mesh.errors import CloudError
from mesh.lists import walk
from weft.placement.v1 import provider_service_pb2 as pb
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub
from weft.placement.v1.resources_pb2 import Provider

# The contract counts generations from one, Placement from nought.
_FIRST = 1
_PARTS = (("inventories", 0), ("usages", 0), ("aggregates", 1), ("traits", 6), ("allocations", 11))


def generation(provider: Provider) -> int:
    """As Placement counts them."""
    return provider.generation - _FIRST


def read_generation(call: Call, given: int, provider: Provider, words: str = "") -> int:
    """A generation that was read, as the contract counts. Raises Refusal where it is not the provider's."""
    if given != generation(provider):
        said = words or "resource provider generation conflict"
        message = f"{said} - actual: {generation(provider)}, given: {given}"
        raise Refusal(409, message, "concurrent_update")
    return given + _FIRST


def document(call: Call, provider: Provider) -> dict[str, Any]:
    """A provider as Placement shows it."""
    path = f"{call.mount}/resource_providers/{provider.id}"
    parts = [
        {"rel": part, "href": f"{path}/{part}"} for part, since in _PARTS if call.microversion >= (1, since)
    ]
    shown: dict[str, Any] = {
        "uuid": provider.id,
        "name": provider.name,
        "generation": generation(provider),
        "links": [{"rel": "self", "href": path}, *parts],
    }
    if call.microversion >= (1, 14):
        shown["parent_provider_uuid"] = provider.parent_id or None
        shown["root_provider_uuid"] = provider.root_id
    return shown


async def listed(call: Call) -> Response:
    """GET /resource_providers: by name, uuid, in_tree, resources, required and member_of."""
    given = query(call, schemas.providers(call.microversion))
    wanted, within = traits(call), members(call)
    resources = amounts(given["resources"]) if "resources" in given else {}
    known(resources, await names.class_names(call), "Invalid resource class in resources parameter")
    known(wanted.names, await names.trait_names(call), "No such trait(s)")
    request = pb.ListProvidersRequest(
        name=given.get("name", ""),
        in_tree=canonical(given["in_tree"]) if "in_tree" in given else "",
        resources=resources,
    )
    id = canonical(given["uuid"]) if "uuid" in given else None
    found = [
        each
        async for each in _all(call, request)
        if id in (None, each.id)
        and wanted.hold(frozenset(each.traits))
        and within.hold(frozenset(each.aggregate_ids))
    ]
    shown = {"resource_providers": [document(call, each) for each in found]}
    return answer(call, shown, changed=latest([each.updated_at for each in found]))


def _all(call: Call, request: pb.ListProvidersRequest) -> AsyncIterator[Provider]:
    return walk(call.stub(ProviderServiceStub).ListProviders, request, "providers")


async def show(call: Call) -> Response:
    """GET /resource_providers/{id}."""
    found = await get(call)
    return answer(call, document(call, found), changed=found.updated_at)


async def create(call: Call) -> Response:
    """POST /resource_providers."""
    given = await body(call, schemas.provider(call.microversion, new=True))
    id = canonical(given["uuid"]) if "uuid" in given else ""
    parent = canonical(given["parent_provider_uuid"]) if given.get("parent_provider_uuid") else ""
    name = given["name"]
    words = f'Unable to create resource provider "{name}", {id}'
    if id and id == parent:
        raise Refusal(400, f"{words}: parent provider UUID cannot be same as UUID.")
    request = pb.CreateProviderRequest(id=id, name=name, parent_id=parent)
    with refusing(
        {
            "ALREADY_EXISTS": (409, await _conflicts(call, id, name), "duplicate_name"),
            "INVALID_ARGUMENT": (400, f"{words}: parent provider UUID does not exist", ""),
        }
    ):
        made = await call.stub(ProviderServiceStub).CreateProvider(request)
    place = f"/resource_providers/{made.id}"
    if call.microversion < (1, 20):
        return answer(call, None, 201, location=place)
    return answer(call, document(call, made), 200, changed=made.updated_at, location=place)


async def _conflicts(call: Call, id: str, name: str) -> str:
    """Which of the two another provider has, should there be one."""
    same_name = [each async for each in _all(call, pb.ListProvidersRequest(name=name))]
    same_id = [each async for each in _all(call, pb.ListProvidersRequest(in_tree=id)) if each.id == id]
    found = [f"uuid: {id}"] * bool(id and same_id) + [f"name: {name}"] * bool(same_name)
    return f"Conflicting resource provider {', '.join(found)} already exists"


async def update(call: Call) -> Response:
    """PUT /resource_providers/{id}: its name, and its parent where it may change."""
    given = await body(call, schemas.provider(call.microversion, new=False))
    found = await get(call)
    request = pb.UpdateProviderRequest(id=found.id, name=given["name"], **_moved(call, found, given))
    cases: Cases = {
        "ALREADY_EXISTS": (
            409,
            f"Conflicting resource provider {given['name']} already exists",
            "duplicate_name",
        ),
        "INVALID_ARGUMENT": (400, _unsaved(found, "parent provider UUID does not exist"), ""),
    }
    if request.parent_id and request.parent_id in await _below(call, found):
        raise Refusal(400, _unsaved(found, "creating loop in the provider tree is not allowed."))
    with refusing(cases):
        changed = await call.stub(ProviderServiceStub).UpdateProvider(request)
    return answer(call, document(call, changed), changed=changed.updated_at)


def _unsaved(found: Provider, why: str) -> str:
    return f"Unable to save resource provider {found.id}: {why}"


def _moved(call: Call, found: Provider, given: dict[str, Any]) -> dict[str, Any]:
    """The parent that a body asks for, where it is another. Before 1.37 a parent is given once."""
    if "parent_provider_uuid" not in given or call.microversion < (1, 14):
        return {}
    parent = given["parent_provider_uuid"]
    parent = canonical(parent) if parent else ""
    if parent == found.parent_id:
        return {}
    if found.parent_id and call.microversion < (1, 37):
        kind = "re-parenting" if parent else "un-parenting"
        raise Refusal(400, _unsaved(found, f"{kind} a provider is not currently allowed."))
    return {"parent_id": parent} if parent else {"clear_parent": True}


async def _below(call: Call, found: Provider) -> set[str]:
    """The provider, and all that is below it."""
    tree = [each async for each in _all(call, pb.ListProvidersRequest(in_tree=found.id))]
    ids = {found.id}
    while more := {each.id for each in tree if each.parent_id in ids} - ids:
        ids |= more
    return ids


async def delete(call: Call) -> Response:
    """DELETE /resource_providers/{id}."""
    id, stub = call.params["id"], call.stub(ProviderServiceStub)
    with refusing(provider_missing(id, " for delete")):
        found = await stub.GetProvider(pb.GetProviderRequest(id=id))
    words, code = f"Unable to delete resource provider {id}: Resource provider has allocations.", "inuse"
    if len(await _below(call, found)) > 1:
        words = f"Unable to delete parent resource provider {id}: It has child resource providers."
        code = "cannot_delete_parent"
    try:
        await stub.DeleteProvider(pb.DeleteProviderRequest(id=id))
    except CloudError as error:
        if error.reason != "IN_USE":
            raise
        raise Refusal(409, words, f"resource_provider.{code}") from error
    return Response(status_code=204)


async def get(call: Call) -> Provider:
    """The provider that the path names. Raises Refusal."""
    id = call.params["id"]
    with refusing(provider_missing(id)):
        return await call.stub(ProviderServiceStub).GetProvider(pb.GetProviderRequest(id=id))
