"""Floating IPs as Nova passed them on: until 2.35, and as actions of servers until 2.43."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute.past import passing
from gateway.openstack.compute.surroundings import ports
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from mesh.errors import CloudError
from mesh.lists import walk
from weft.network.v1 import floating_ip_service_pb2 as pb
from weft.network.v1 import network_service_pb2, port_service_pb2, resources_pb2
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub
from weft.network.v1.port_service_pb2_grpc import PortServiceStub


async def _pools(call: Call) -> dict[str, str]:
    """The names of external networks, which Nova called pools, by id."""
    request = network_service_pb2.ListNetworksRequest()
    found = walk(call.stub(NetworkServiceStub).ListNetworks, request, "networks")
    return {one.id: one.name async for one in found if one.external}


async def _view(call: Call, one: resources_pb2.FloatingIp, pools: Mapping[str, str]) -> dict[str, Any]:
    server = None
    if one.port_id:
        request = port_service_pb2.GetPortRequest(id=one.port_id)
        server = (await call.stub(PortServiceStub).GetPort(request)).device_id or None
    return {
        "id": one.id,
        "ip": one.address,
        "fixed_ip": one.fixed_ip or None,
        "instance_id": server,
        "pool": pools.get(one.network_id, one.network_id),
    }


async def pools(call: Call) -> dict[str, Any]:
    """GET /os-floating-ip-pools."""
    return {"floating_ip_pools": [{"name": name} for name in (await _pools(call)).values()]}


async def index(call: Call) -> dict[str, Any]:
    """GET /os-floating-ips."""
    names, rpc = await _pools(call), call.stub(FloatingIpServiceStub).ListFloatingIps
    found = [one async for one in walk(rpc, pb.ListFloatingIpsRequest(), "floating_ips")]
    return {"floating_ips": [await _view(call, one, names) for one in found]}


async def show(call: Call) -> dict[str, Any]:
    """GET /os-floating-ips/{id}."""
    request = pb.GetFloatingIpRequest(id=call.params["id"])
    one = await call.stub(FloatingIpServiceStub).GetFloatingIp(request)
    return {"floating_ip": await _view(call, one, await _pools(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /os-floating-ips."""
    given, names = await call.json(), await _pools(call)
    wanted = body.field(given, "pool", str, "") if given else ""
    fitting = [id for id, name in names.items() if wanted in ("", id, name)]
    if not fitting:
        raise Refusal(404, f"Floating IP pool {wanted or 'default'} not found.")
    request = pb.CreateFloatingIpRequest(network_id=fitting[0])
    one = await call.stub(FloatingIpServiceStub).CreateFloatingIp(request)
    return {"floating_ip": await _view(call, one, names)}


async def delete(call: Call) -> None:
    """DELETE /os-floating-ips/{id}."""
    request = pb.DeleteFloatingIpRequest(id=call.params["id"])
    await call.stub(FloatingIpServiceStub).DeleteFloatingIp(request)


async def add(call: Call, given: Mapping[str, Any]) -> None:
    """Let an address lead to a server: to the port that has the fixed one, or to its first."""
    fixed = body.field(given, "fixed_address", str, "")
    one = await _of(call, body.field(given, "address", str))
    for port in await ports(call, call.params["id"]):
        if not fixed or fixed in [each.ip_address for each in port.fixed_ips]:
            await _lead(call, one, port.id, fixed)
            return
    raise Refusal(400, "The server has no port that a floating IP could lead to.")


async def remove(call: Call, given: Mapping[str, Any]) -> None:
    """Let an address lead to the server no longer."""
    one = await _of(call, body.field(given, "address", str))
    if one.port_id not in [port.id for port in await ports(call, call.params["id"])]:
        raise Refusal(409, f"Floating IP {one.address} does not lead to the server.")
    await _lead(call, one, "", "")


async def _of(call: Call, address: str) -> resources_pb2.FloatingIp:
    request = pb.ListFloatingIpsRequest(address=address[:255])
    found = await call.stub(FloatingIpServiceStub).ListFloatingIps(request)
    if not found.floating_ips:
        raise Refusal(404, f"Floating IP {address} not found.")
    return found.floating_ips[0]


async def _lead(call: Call, one: resources_pb2.FloatingIp, port_id: str, fixed: str) -> None:
    request = pb.UpdateFloatingIpRequest(
        id=one.id,
        floating_ip=resources_pb2.FloatingIp(port_id=port_id, fixed_ip=fixed),
        update_mask=FieldMask(paths=["port_id", "fixed_ip"]),
    )
    try:
        await call.stub(FloatingIpServiceStub).UpdateFloatingIp(request)
    except CloudError as error:
        if error.reason not in ("IN_USE", "WRONG_STATUS", "ALREADY_EXISTS", "ADDRESS_IN_USE"):
            raise
        raise Refusal(400, error.message) from error


ROUTES = passing(
    "network",
    Route("GET", "/v2.1/os-floating-ip-pools", pools),
    Route("GET", "/v2.1/os-floating-ips", index),
    Route("POST", "/v2.1/os-floating-ips", create),
    Route("GET", "/v2.1/os-floating-ips/{id}", show),
    Route("DELETE", "/v2.1/os-floating-ips/{id}", delete, 202),
)
