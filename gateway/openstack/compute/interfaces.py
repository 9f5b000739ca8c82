"""Ports of servers."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute import servers
from gateway.openstack.compute.operations import ended
from gateway.openstack.compute.surroundings import ports
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from mesh.errors import CloudError
from mesh.lists import walk
from weft.compute.v1 import resources_pb2
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.network.v1 import subnet_service_pb2
from weft.network.v1.port_service_pb2 import UpdatePortRequest
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.resources_pb2 import PORT_STATUS_ACTIVE, FixedIp, Port
from weft.network.v1.subnet_service_pb2_grpc import SubnetServiceStub


def view(call: Call, port: Port) -> dict[str, Any]:
    """As Nova shows it."""
    document = {
        "net_id": port.network_id,
        "port_id": port.id,
        "mac_addr": port.mac_address,
        "port_state": "ACTIVE" if port.status == PORT_STATUS_ACTIVE else "DOWN",
        "fixed_ips": [{"subnet_id": one.subnet_id, "ip_address": one.ip_address} for one in port.fixed_ips],
    }
    return document | ({"tag": None} if call.microversion >= (2, 70) else {})


async def index(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/os-interface."""
    one = await servers.get(call)
    return {"interfaceAttachments": [view(call, port) for port in await _ports(call, one)]}


async def show(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/os-interface/{port_id}."""
    one = await servers.get(call)
    return {"interfaceAttachment": view(call, await _port(call, one, call.params["port_id"]))}


async def attach(call: Call) -> dict[str, Any]:
    """POST /servers/{id}/os-interface: a port that is there, or a new one on a network."""
    given = await call.body("interfaceAttachment")
    body.refuse_unknown(
        given, {"port_id", "net_id", "fixed_ips", *({"tag"} if call.microversion >= (2, 49) else ())}
    )
    if given.get("tag"):
        raise Refusal(501, "tag: ports of servers have no tags.")
    port, network = body.field(given, "port_id", str, ""), body.field(given, "net_id", str, "")
    addresses = body.field(given, "fixed_ips", list, [])
    if bool(port) == bool(network):
        raise Refusal(400, "Either port_id or net_id must be given.")
    if len(addresses) > 1 or not all(isinstance(one, dict) for one in addresses) or (addresses and port):
        raise Refusal(400, "fixed_ips: one address, of a new port.")
    request = pb.AttachPortRequest(
        id=call.params["id"], fixed_ip=body.field(addresses[0], "ip_address", str, "") if addresses else ""
    )
    setattr(request, "port_id" if port else "network_id", port or network)
    before = {each.port_id for each in (await servers.get(call)).ports}
    begun = await call.stub(ServerServiceStub).AttachPort(request)
    if not await ended(call, begun.operation_id):
        raise Refusal(504, "The port is not attached yet.")
    after = await servers.get(call)
    for each in await _ports(call, after):
        if each.id == port or (network and each.id not in before):
            return {"interfaceAttachment": view(call, each)}
    raise Refusal(500, "Failed to attach network adapter device to the server.")


async def detach(call: Call) -> None:
    """DELETE /servers/{id}/os-interface/{port_id}."""
    request = pb.DetachPortRequest(id=call.params["id"], port_id=call.params["port_id"])
    await call.stub(ServerServiceStub).DetachPort(request)


async def add_address(call: Call, given: Mapping[str, Any]) -> None:
    """Give the server's port on a network one address more, of the first subnet that has one left."""
    network = body.field(given, "networkId", str)
    port = next((port for port in await ports(call, call.params["id"]) if port.network_id == network), None)
    if port is None:
        raise Refusal(404, f"The server has no port on the network {network}.")
    request = subnet_service_pb2.ListSubnetsRequest(network_id=network)
    listed = walk(call.stub(SubnetServiceStub).ListSubnets, request, "subnets")
    for subnet in [subnet.id async for subnet in listed]:
        try:
            return await _readdress(call, port, [*port.fixed_ips, FixedIp(subnet_id=subnet)])
        except CloudError as error:
            if error.reason != "ADDRESSES_EXHAUSTED":
                raise
    raise Refusal(400, f"No address of the network {network} is left.")


async def remove_address(call: Call, given: Mapping[str, Any]) -> None:
    """Take an address from the server's port that has it."""
    address = body.field(given, "address", str)
    for port in await ports(call, call.params["id"]):
        left = [one for one in port.fixed_ips if one.ip_address != address]
        if len(left) < len(port.fixed_ips):
            return await _readdress(call, port, left)
    raise Refusal(400, f"The server does not have the address {address}.")


async def _readdress(call: Call, port: Port, addresses: list[FixedIp]) -> None:
    request = UpdatePortRequest(
        id=port.id,
        port=Port(fixed_ips=addresses),
        update_mask=FieldMask(paths=["fixed_ips"]),
        expected_revision=port.revision,
    )
    await call.stub(PortServiceStub).UpdatePort(request)


async def _ports(call: Call, one: resources_pb2.Server) -> list[Port]:
    """In the order that the server has them."""
    order = {each.port_id: number for number, each in enumerate(one.ports)}
    found = [port for port in await ports(call, one.id) if port.id in order]
    return sorted(found, key=lambda port: order[port.id])


async def _port(call: Call, one: resources_pb2.Server, id: str) -> Port:
    for port in await _ports(call, one):
        if port.id == id:
            return port
    raise Refusal(404, f"The server has no port {id}.")


_PATH = "/v2.1/servers/{id}/os-interface"
ROUTES = (
    Route("GET", _PATH, index),
    Route("POST", _PATH, attach),
    Route("GET", f"{_PATH}/{{port_id}}", show),
    Route("DELETE", f"{_PATH}/{{port_id}}", detach, 202),
)
