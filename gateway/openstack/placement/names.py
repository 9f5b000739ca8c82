"""Names of resource classes and traits."""

from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.lists import walk
from weft.placement.v1 import class_service_pb2 as pb
from weft.placement.v1.class_service_pb2_grpc import ClassServiceStub


async def classes(call: Call) -> dict[str, Any]:
    """GET /resource_classes."""
    rpc = call.stub(ClassServiceStub).ListResourceClasses
    found = walk(rpc, pb.ListResourceClassesRequest(), "resource_classes")
    path = "/placement/resource_classes"
    documents = [
        {"name": each.name, "links": [{"rel": "self", "href": f"{path}/{each.name}"}]} async for each in found
    ]
    return {"resource_classes": documents}


async def create_class(call: Call) -> Response:
    """PUT /resource_classes/{name}."""
    await call.stub(ClassServiceStub).CreateResourceClass(
        pb.CreateResourceClassRequest(name=call.params["name"])
    )
    return _made(call)


async def delete_class(call: Call) -> None:
    """DELETE /resource_classes/{name}."""
    await call.stub(ClassServiceStub).DeleteResourceClass(
        pb.DeleteResourceClassRequest(name=call.params["name"])
    )


async def show_class(call: Call) -> dict[str, Any]:
    """GET /resource_classes/{name}."""
    for each in (await classes(call))["resource_classes"]:
        if each["name"] == call.params["name"]:
            return each
    raise Refusal(404, f"No such resource class {call.params['name']}.")


async def check_trait(call: Call) -> None:
    """GET /traits/{name}."""
    name = call.params["name"]
    request = pb.ListTraitsRequest(prefix=name)
    found = walk(call.stub(ClassServiceStub).ListTraits, request, "traits")
    if name not in {each.name async for each in found}:
        raise Refusal(404, f"No such trait(s): {name}.")


async def traits(call: Call) -> dict[str, Any]:
    """GET /traits, also those whose names begin so (`name=startswith:`) or are among some (`name=in:`)."""
    kind, _, wanted = call.query.get("name", "").partition(":")
    if kind not in ("", "startswith", "in") or "associated" in call.query:
        raise Refusal(501 if "associated" in call.query else 400, "Traits are listed by startswith: or in:.")
    request = pb.ListTraitsRequest(prefix=wanted if kind == "startswith" else "")
    found = walk(call.stub(ClassServiceStub).ListTraits, request, "traits")
    among = wanted.split(",") if kind == "in" else None
    return {"traits": [each.name async for each in found if among is None or each.name in among]}


async def create_trait(call: Call) -> Response:
    """PUT /traits/{name}."""
    await call.stub(ClassServiceStub).CreateTrait(pb.CreateTraitRequest(name=call.params["name"]))
    return _made(call)


async def delete_trait(call: Call) -> None:
    """DELETE /traits/{name}."""
    await call.stub(ClassServiceStub).DeleteTrait(pb.DeleteTraitRequest(name=call.params["name"]))


def _made(call: Call) -> Response:
    """The contract makes a name or finds it there, and does not tell which: the answer is that it exists."""
    return Response(status_code=201, headers={"location": call.request.url.path})
