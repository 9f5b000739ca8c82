"""Names of resource classes and traits."""

import re
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.placement import schemas
from gateway.openstack.placement.answers import answer, latest
from gateway.openstack.placement.reading import body, checked, query
from gateway.openstack.placement.refusals import refusing
from mesh.lists import walk
from weft.placement.v1 import class_service_pb2 as pb
from weft.placement.v1 import provider_service_pb2
from weft.placement.v1.class_service_pb2_grpc import ClassServiceStub
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub
from weft.placement.v1.resources_pb2 import ResourceClass, Trait

_CUSTOM = re.compile(schemas.CUSTOM_TRAIT["pattern"])
_ORDER = ("VCPU", "MEMORY_MB", "DISK_GB")


def standard_order(name: str) -> tuple[int, str]:
    """The oldest classes first, as Placement numbers them."""
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


async def _classes(call: Call) -> list[ResourceClass]:
    rpc = call.stub(ClassServiceStub).ListResourceClasses
    return [each async for each in walk(rpc, pb.ListResourceClassesRequest(), "resource_classes")]


async def _traits(call: Call, prefix: str = "") -> list[Trait]:
    rpc, request = call.stub(ClassServiceStub).ListTraits, pb.ListTraitsRequest(prefix=prefix)
    return [each async for each in walk(rpc, request, "traits")]


async def class_names(call: Call) -> set[str]:
    """Every resource class."""
    return {each.name for each in await _classes(call)}


async def trait_names(call: Call) -> set[str]:
    """Every trait."""
    return {each.name for each in await _traits(call)}


async def need_classes(call: Call, wanted: Iterable[str], words: str) -> None:
    """Raises Refusal where there is no such resource class."""
    if missing := sorted(set(wanted) - await class_names(call)):
        raise Refusal(400, f"{words}: No such resource class {', '.join(missing)}.")


async def classes(call: Call) -> Response:
    """GET /resource_classes."""
    found = await _classes(call)
    shown = {"resource_classes": [_class(call, each.name) for each in found]}
    return answer(call, shown, changed=latest([each.created_at for each in found]))


def _class(call: Call, name: str) -> dict[str, Any]:
    return {"name": name, "links": [{"rel": "self", "href": f"{call.mount}/resource_classes/{name}"}]}


async def show_class(call: Call) -> Response:
    """GET /resource_classes/{name}."""
    found = await _class_of(call)
    return answer(call, _class(call, found.name), changed=found.created_at)


async def _class_of(call: Call) -> ResourceClass:
    for each in await _classes(call):
        if each.name == call.params["name"]:
            return each
    raise Refusal(404, f"No such resource class {call.params['name']}.")


async def post_class(call: Call) -> Response:
    """POST /resource_classes."""
    name = (await body(call, schemas.RESOURCE_CLASS))["name"]
    if name in await class_names(call):
        raise Refusal(409, f"Conflicting resource class already exists: {name}")
    return await _make_class(call, name)


async def put_class(call: Call) -> Response:
    """PUT /resource_classes/{name}: from 1.7 on it is there then; before, it got another name."""
    if call.microversion < (1, 7):
        raise await _unrenamed(call)
    name = call.params["name"]
    checked({"name": name}, schemas.RESOURCE_CLASS)
    if name in await class_names(call):
        return answer(call, None, 204, location=f"/resource_classes/{name}")
    return await _make_class(call, name)


async def _unrenamed(call: Call) -> Refusal:
    wanted = (await body(call, schemas.RESOURCE_CLASS))["name"]
    found = await _class_of(call)
    if found.standard:
        return Refusal(400, f"Cannot update standard resource class {found.name}")
    if wanted in await class_names(call):
        return Refusal(409, f"Resource class already exists: {wanted}")
    return Refusal(501, "A resource class keeps its name: make another one.")


async def _make_class(call: Call, name: str) -> Response:
    await call.stub(ClassServiceStub).CreateResourceClass(pb.CreateResourceClassRequest(name=name))
    return Response(status_code=201, headers={"location": call.url(f"/resource_classes/{name}")})


async def delete_class(call: Call) -> Response:
    """DELETE /resource_classes/{name}."""
    found = await _class_of(call)
    if found.standard:
        words = f"Cannot delete standard resource class {found.name}"
        raise Refusal(400, f"Error in delete resource class: {words}.")
    words = f"Error in delete resource class: Class is in use in inventory: {found.name}"
    with refusing({"IN_USE": (409, words, "")}):
        await call.stub(ClassServiceStub).DeleteResourceClass(pb.DeleteResourceClassRequest(name=found.name))
    return Response(status_code=204)


async def check_trait(call: Call) -> Response:
    """GET /traits/{name}."""
    return answer(call, None, 204, changed=(await _trait_of(call)).created_at)


async def _trait_of(call: Call) -> Trait:
    name = call.params["name"]
    for each in await _traits(call, name):
        if each.name == name:
            return each
    raise Refusal(404, f"No such trait(s): {name}.")


async def traits(call: Call) -> Response:
    """GET /traits, also those whose names begin so (`startswith:`) or are among some (`in:`)."""
    given = query(call, schemas.LIST_TRAITS)
    kind, colon, wanted = given.get("name", "").partition(":")
    if "name" in given and (kind not in ("in", "startswith") or not colon):
        form = "?name=[in|startswith]:[name1,name2|prefix]"
        words = f"Badly formatted name parameter. Expected name query string parameter in form: {form}."
        raise Refusal(400, f'{words} Got: "{given["name"]}"')
    found = await _traits(call, wanted if kind == "startswith" else "")
    if kind == "in":
        found = [each for each in found if each.name in wanted.split(",")]
    if "associated" in given:
        asked = given["associated"].lower()
        if asked not in ("true", "false"):
            raise Refusal(400, 'The query parameter "associated" only accepts "true" or "false"')
        had = await _had(call)
        found = [each for each in found if (each.name in had) is (asked == "true")]
    shown = {"traits": [each.name for each in found]}
    return answer(call, shown, changed=latest([each.created_at for each in found]))


async def _had(call: Call) -> set[str]:
    """Traits that some provider has."""
    rpc = call.stub(ProviderServiceStub).ListProviders
    found = walk(rpc, provider_service_pb2.ListProvidersRequest(), "providers")
    return {name async for each in found for name in each.traits}


async def put_trait(call: Call) -> Response:
    """PUT /traits/{name}: it is there then."""
    name = call.params["name"]
    if not _CUSTOM.match(name) or len(name) > 255:
        words = "A valid trait must be no longer than 255 characters, start with the prefix"
        more = 'use following characters: "A"-"Z", "0"-"9" and "_"'
        raise Refusal(400, f'The trait is invalid. {words} "CUSTOM_" and {more}')
    there = name in await trait_names(call)
    made = await call.stub(ClassServiceStub).CreateTrait(pb.CreateTraitRequest(name=name))
    return answer(call, None, 204 if there else 201, changed=made.created_at, location=f"/traits/{name}")


async def delete_trait(call: Call) -> Response:
    """DELETE /traits/{name}."""
    found = await _trait_of(call)
    if found.standard:
        raise Refusal(400, f"Cannot delete standard trait {found.name}.")
    words = f"The trait {found.name} is in use by a resource provider."
    with refusing({"IN_USE": (409, words, "")}):
        await call.stub(ClassServiceStub).DeleteTrait(pb.DeleteTraitRequest(name=found.name))
    return Response(status_code=204)
