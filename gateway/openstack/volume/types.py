"""Volume types and their extra specs."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.keyed import Keyed, texts
from gateway.openstack.listing import fitting, listing, wanted
from mesh.lists import walk
from weft.block.v1 import resources_pb2
from weft.block.v1 import volume_type_service_pb2 as pb
from weft.block.v1.volume_type_service_pb2_grpc import VolumeTypeServiceStub

_PUBLIC = "os-volume-type-access:is_public"


async def names(call: Call) -> dict[str, str]:
    """The names of the volume types that the caller sees, by id."""
    return {one.id: one.name async for one in _all(call)}


async def id_of(call: Call, given: str) -> str:
    """The id of a type that is named by id or name; "" stays so. Raises Refusal."""
    if not given:
        return ""
    async for one in _all(call):
        if given in (one.id, one.name):
            return one.id
    raise Refusal(404, f"Volume type {given} could not be found.")


def _all(call: Call) -> Any:
    rpc = call.stub(VolumeTypeServiceStub).ListVolumeTypes
    return walk(rpc, pb.ListVolumeTypesRequest(), "volume_types")


def view(one: resources_pb2.VolumeType) -> dict[str, Any]:
    """As Cinder shows it."""
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description or None,
        "is_public": one.public,
        _PUBLIC: one.public,
        "extra_specs": dict(one.extra_specs),
        "qos_specs_id": None,
    }


def made(one: resources_pb2.VolumeType) -> dict[str, Any]:
    """As Cinder shows one that was just made or changed."""
    return {name: value for name, value in view(one).items() if name != "qos_specs_id"}


async def index(call: Call) -> dict[str, Any]:
    """GET /types."""
    given = wanted(call, {"is_public", "name", "description"})
    public = None if given.get("is_public", "").lower() == "none" else call.flag("is_public")

    def fits(one: resources_pb2.VolumeType) -> bool:
        return public in (None, one.public) and given.get("name") in (None, one.name)

    return await listing(call, fitting(_all(call), fits), "volume_types", view, None, {"name": "name"})


async def show(call: Call) -> dict[str, Any]:
    """GET /types/{id}."""
    return {"volume_type": view(await _get(call))}


async def default(call: Call) -> dict[str, Any]:
    """GET /types/default."""
    async for one in _all(call):
        if one.default:
            return {"volume_type": view(one)}
    raise Refusal(404, "There is no default volume type.")


async def create(call: Call) -> dict[str, Any]:
    """POST /types."""
    given = await call.body("volume_type")
    body.refuse_unknown(given, {"name", "description", "extra_specs", _PUBLIC, "is_public"})
    request = pb.CreateVolumeTypeRequest(
        name=body.field(given, "name", str),
        description=body.field(given, "description", str, ""),
        private=not body.field(given, _PUBLIC, bool, True),
        extra_specs=texts(body.field(given, "extra_specs", dict, {}), "extra_specs"),
    )
    return {"volume_type": made(await call.stub(VolumeTypeServiceStub).CreateVolumeType(request))}


async def update(call: Call) -> dict[str, Any]:
    """PUT /types/{id}."""
    given = await call.body("volume_type")
    kinds: dict[str, tuple[str, type]] = {
        "name": ("name", str),
        "description": ("description", str),
        "is_public": ("public", bool),
    }
    body.refuse_unknown(given, set(kinds))
    values = {kinds[name][0]: body.field(given, name, kinds[name][1], kinds[name][1]()) for name in given}
    if not values:
        raise Refusal(400, "Specify volume type name, description, is_public or a combination thereof.")
    changed = made(await _update(call, values))
    changed.pop(_PUBLIC)
    return {"volume_type": changed}


async def delete(call: Call) -> None:
    """DELETE /types/{id}."""
    await call.stub(VolumeTypeServiceStub).DeleteVolumeType(pb.DeleteVolumeTypeRequest(id=call.params["id"]))


async def _get(call: Call) -> resources_pb2.VolumeType:
    request = pb.GetVolumeTypeRequest(id=call.params["id"])
    return await call.stub(VolumeTypeServiceStub).GetVolumeType(request)


async def _update(call: Call, values: dict[str, Any], revision: int = 0) -> resources_pb2.VolumeType:
    request = pb.UpdateVolumeTypeRequest(
        id=call.params["id"],
        volume_type=resources_pb2.VolumeType(**values),
        update_mask=FieldMask(paths=list(values)),
        expected_revision=revision,
    )
    return await call.stub(VolumeTypeServiceStub).UpdateVolumeType(request)


ROUTES = (
    Route("GET", "/v3/types", index),
    Route("POST", "/v3/types", create, administers=True),
    Route("GET", "/v3/types/default", default),
    Route("GET", "/v3/types/{id}", show),
    Route("PUT", "/v3/types/{id}", update, administers=True),
    Route("DELETE", "/v3/types/{id}", delete, 202, administers=True),
    *Keyed(
        "/v3/types/{id}/extra_specs",
        "extra_specs",
        "",
        _get,
        _update,
        202,
        replaces=False,
        administers=True,
    ).routes(),
)
