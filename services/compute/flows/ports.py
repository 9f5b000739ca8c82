"""A server's ports, as its flows make, bind and give them back.

Ids derive from the operation and the host: a boot that moves to another host makes new ports, and a step that
is done twice on one host makes them once.
"""

import ipaddress
import logging
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from mesh.channel import Peers
from mesh.errors import CloudError
from mesh.flow import Run
from mesh.together import all_of
from weft.network.v1.port_service_pb2 import (
    BindPortRequest,
    CreatePortRequest,
    DeletePortRequest,
    GetPortRequest,
    UnbindPortRequest,
)
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.resources_pb2 import FixedIp, Port, Subnet
from weft.network.v1.subnet_service_pb2 import ListSubnetsRequest
from weft.network.v1.subnet_service_pb2_grpc import SubnetServiceStub
from weft.node.v1.resources_pb2 import GuestAddress, GuestPort

DEVICE_OWNER = "compute"
_log = logging.getLogger(__name__)


def id_of(position: int, host_id: str) -> str:
    """What the id of the port at that position is derived from, besides the operation."""
    return f"port/{position}/{host_id}"


def has_some(run: Run) -> bool:
    """Whether the server is to have ports."""
    return bool(run.input["networks"])


def has_unbound(run: Run) -> bool:
    """Whether any was there before, and is not on the server's host yet."""
    return not all(port.get("bound") for port in made(run))


def made(run: Run) -> list[dict[str, Any]]:
    """What `create` answered."""
    return run.outputs.get("create ports", {}).get("ports", [])


async def create(run: Run) -> dict[str, Any]:
    """Make the ports that were not given, on the server's host, which begins to wire them; answer all of
    them, in order.
    """
    wanted = run.input["networks"]
    subnets = await _subnets(run, sorted({wish["network_id"] for wish in wanted}))
    ports = await all_of(_one(run, position, wish) for position, wish in enumerate(wanted))
    described = zip(wanted, ports, strict=True)
    return {"ports": [_described(port, wish, subnets) for wish, port in described]}


async def uncreate(run: Run) -> None:
    """Delete those that were made, or may have been."""
    stub = _stub(run.app.peers)
    for position, wish in enumerate(run.input["networks"]):
        if not wish["port_id"]:
            await stub.DeletePort(DeletePortRequest(id=_id(run, position), allow_missing=True))


async def bind(run: Run) -> None:
    """Say that those which are not yet are on the server's host too."""
    host_id = _host_id(run)
    stub = _stub(run.app.peers)
    await all_of(
        stub.BindPort(BindPortRequest(id=port["port_id"], host_id=host_id, device_id=run.target_id))
        for port in made(run)
        if not port.get("bound")
    )


async def unbind(run: Run) -> None:
    """Say that those that were bound are on no host."""
    for port in made(run):
        if not port.get("bound"):
            await _unbind(_stub(run.app.peers), port["port_id"], run.target_id)


async def give_back(peers: Peers, server: Any) -> None:
    """Delete the ports that were made with the server and unbind the others, as its deletion does."""
    for port in server.ports:
        await give_one_back(peers, port, server.id)


async def give_one_back(peers: Peers, port: Mapping[str, Any], server_id: str) -> None:
    """Delete a port that was made for the server, and unbind another."""
    give = _delete if port["created"] else _unbind
    await give(_stub(peers), port["port_id"], server_id)


def kept(port: Mapping[str, Any]) -> dict[str, Any]:
    """What a server's row says of a port that `create` answered."""
    return {key: value for key, value in port.items() if key not in ("guest_port", "bound")}


async def _delete(stub: Any, port_id: str, server_id: str) -> None:
    try:
        await stub.DeletePort(DeletePortRequest(id=port_id, allow_missing=True))
    except CloudError as error:
        if error.retryable:
            raise
        _log.warning("port %s outlives server %s: %s", port_id, server_id, error.message)
        await _unbind(stub, port_id, server_id)


async def _unbind(stub: Any, port_id: str, server_id: str) -> None:
    """Only if it is this server's: by now another may have it."""
    try:
        port = await stub.GetPort(GetPortRequest(id=port_id))
        if port.device_id == server_id:
            await stub.UnbindPort(UnbindPortRequest(id=port_id))
    except CloudError as error:
        if error.reason != "NOT_FOUND":
            raise


def _stub(peers: Peers) -> Any:
    return peers.stub(PortServiceStub, service="network")


def _id(run: Run, position: int) -> str:
    return run.derived(id_of(position, _host_id(run)))


def _host_id(run: Run) -> str:
    """The claimed host, or the one that the server is on already."""
    return run.outputs.get("claim host", run.input)["host_id"]


async def _one(run: Run, position: int, wish: Mapping[str, Any]) -> Port:
    stub = _stub(run.app.peers)
    if wish["port_id"]:
        return await stub.GetPort(GetPortRequest(id=wish["port_id"]))
    fixed_ips = [FixedIp(ip_address=wish["fixed_ip"])] if wish["fixed_ip"] else []
    return await stub.CreatePort(
        CreatePortRequest(
            id=_id(run, position),
            network_id=wish["network_id"],
            fixed_ips=fixed_ips,
            security_group_ids=run.input["security_group_ids"],
            device_owner=DEVICE_OWNER,
            device_id=run.target_id,
            host_id=_host_id(run),
            request_id=_id(run, position),
        )
    )


async def _subnets(run: Run, network_ids: list[str]) -> dict[str, Subnet]:
    stub: Any = run.app.peers.stub(SubnetServiceStub, service="network")
    answers = await all_of(
        stub.ListSubnets(ListSubnetsRequest(network_id=network_id, page_size=1000))
        for network_id in network_ids
    )
    return {subnet.id: subnet for answer in answers for subnet in answer.subnets}


def _described(port: Port, wish: Mapping[str, Any], subnets: Mapping[str, Subnet]) -> dict[str, Any]:
    guest_port = GuestPort(
        port_id=port.id,
        network_id=port.network_id,
        mac_address=port.mac_address,
        mtu=wish["mtu"],
        addresses=[_address(ip, subnets[ip.subnet_id]) for ip in port.fixed_ips if ip.subnet_id in subnets],
    )
    return {
        "port_id": port.id,
        "network_id": port.network_id,
        "mac_address": port.mac_address,
        "fixed_ips": [ip.ip_address for ip in port.fixed_ips],
        "revision": port.revision,
        "created": not wish["port_id"],
        # An older network service makes ports, and leaves it to a call of its own where they are.
        "bound": bool(port.host_id) and not wish["port_id"],
        "guest_port": MessageToDict(guest_port),
    }


def _address(ip: FixedIp, subnet: Subnet) -> GuestAddress:
    prefix = ipaddress.ip_network(subnet.cidr).prefixlen
    return GuestAddress(
        address=f"{ip.ip_address}/{prefix}",
        gateway=subnet.gateway_ip,
        dns_nameservers=subnet.dns_nameservers,
    )
