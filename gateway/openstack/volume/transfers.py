"""Transfers of volumes to other projects, at their first address and, from 3.55 on, at their second."""

from collections.abc import Iterator
from typing import Any

from gateway.openstack import call as body
from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route, Version
from gateway.openstack.faults import Refusal
from gateway.openstack.listing import listing
from mesh.lists import walk
from weft.block.v1 import resources_pb2
from weft.block.v1 import volume_transfer_service_pb2 as pb
from weft.block.v1.volume_transfer_service_pb2_grpc import VolumeTransferServiceStub

_FIRST, _SECOND = "/v3/os-volume-transfer", "/v3/volume-transfers"
_SINCE, _TOLD_MORE = (3, 55), (3, 57)


def _brief(call: Call, id: str, name: str, volume_id: str) -> dict[str, Any]:
    path = f"{_FIRST}/{id}"
    links = [{"rel": "self", "href": call.url(path)}, {"rel": "bookmark", "href": call.url(path)}]
    return {"id": id, "name": name or None, "volume_id": volume_id, "links": links}


def view(call: Call, one: resources_pb2.VolumeTransfer) -> dict[str, Any]:
    """As Cinder shows it: one that is accepted is gone."""
    document = _brief(call, one.id, one.name, one.volume_id) | {"created_at": times.bare(one.created_at)}
    if call.microversion >= _SINCE:
        document["no_snapshots"] = False
    if call.microversion >= _TOLD_MORE:
        document |= {
            "source_project_id": one.project_id,
            "destination_project_id": None,
            "accepted": False,
        }
    return document


def brief(document: dict[str, Any]) -> dict[str, Any]:
    """What a list that is not in detail shows."""
    return {name: document[name] for name in ("id", "name", "volume_id", "links")}


async def index(call: Call) -> dict[str, Any]:
    """GET /volume-transfers."""
    return await _listed(call, brief)


async def detail(call: Call) -> dict[str, Any]:
    """GET /volume-transfers/detail."""
    return await _listed(call, None)


async def _listed(call: Call, shown: Any) -> dict[str, Any]:
    if call.flag("all_tenants"):
        await call.administer()
    rpc = call.stub(VolumeTransferServiceStub).ListVolumeTransfers
    found = walk(rpc, pb.ListVolumeTransfersRequest(), "volume_transfers")
    return await listing(call, found, "transfers", lambda one: view(call, one), shown)


async def show(call: Call) -> dict[str, Any]:
    """GET /volume-transfers/{id}."""
    request = pb.GetVolumeTransferRequest(id=call.params["id"])
    found = await call.stub(VolumeTransferServiceStub).GetVolumeTransfer(request)
    return {"transfer": view(call, found)}


async def create(call: Call) -> dict[str, Any]:
    """POST /volume-transfers: the one answer that tells the key."""
    given = await call.body("transfer")
    body.refuse_unknown(
        given, {"volume_id", "name", *(("no_snapshots",) if call.microversion >= _SINCE else ())}
    )
    if body.truth(given.get("no_snapshots") or False, "no_snapshots"):
        raise Refusal(501, "no_snapshots: the snapshots of a volume go with it.")
    request = pb.CreateVolumeTransferRequest(
        volume_id=body.field(given, "volume_id", str), name=body.field(given, "name", str, "")
    )
    made = await call.stub(VolumeTransferServiceStub).CreateVolumeTransfer(request)
    return {"transfer": {**view(call, made), "auth_key": made.auth_key}}


async def accept(call: Call) -> dict[str, Any]:
    """POST /volume-transfers/{id}/accept."""
    given = await call.body("accept")
    body.refuse_unknown(given, {"auth_key"})
    request = pb.AcceptVolumeTransferRequest(
        id=call.params["id"], auth_key=body.field(given, "auth_key", str)
    )
    volume = await call.stub(VolumeTransferServiceStub).AcceptVolumeTransfer(request)
    return {"transfer": _brief(call, request.id, "", volume.id)}


async def delete(call: Call) -> None:
    """DELETE /volume-transfers/{id}."""
    request = pb.DeleteVolumeTransferRequest(id=call.params["id"])
    await call.stub(VolumeTransferServiceStub).DeleteVolumeTransfer(request)


def _routes(path: str, since: Version) -> Iterator[Route]:
    yield Route("GET", path, index, since=since)
    yield Route("GET", f"{path}/detail", detail, since=since)
    yield Route("POST", path, create, 202, since=since)
    yield Route("GET", f"{path}/{{id}}", show, since=since, administers=True)
    yield Route("DELETE", f"{path}/{{id}}", delete, 202, since=since, administers=True)
    yield Route("POST", f"{path}/{{id}}/accept", accept, 202, since=since)


ROUTES = (*_routes(_FIRST, (0, 0)), *_routes(_SECOND, _SINCE))
