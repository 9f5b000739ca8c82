"""Which networks and security groups a new server is to be on, asked of the network service."""

import asyncio
from typing import Any

from mesh.caller import Caller
from mesh.channel import Peers
from mesh.errors import CloudError, invalid, not_found
from mesh.lists import walk
from weft.compute.v1.server_service_pb2 import AttachPortRequest, CreateServerRequest, NetworkRequest
from weft.network.v1.network_service_pb2 import GetNetworkRequest, ListNetworksRequest
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub
from weft.network.v1.port_service_pb2 import CreatePortRequest, GetPortRequest
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.resources_pb2 import FixedIp, Network, SecurityGroup
from weft.network.v1.security_group_service_pb2 import ListSecurityGroupsRequest
from weft.network.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub


async def networks(peers: Peers, request: CreateServerRequest, caller: Caller) -> list[dict[str, Any]]:
    """Its ports in order: each a port that exists or a network, the address wanted on it, and its MTU.

    Raises NOT_FOUND, IN_USE for a port of another device, INVALID_ARGUMENT when none is named and there are
    several networks.
    """
    if request.no_network:
        return []
    if not request.networks:
        only = await _only_network(peers, caller)
        return [_wanted(only)] if only else []
    _check_distinct(request)
    asked = (_checked(peers, wish, f"networks[{i}]") for i, wish in enumerate(request.networks))
    return list(await asyncio.gather(*asked))


async def card(peers: Peers, request: AttachPortRequest) -> dict[str, Any]:
    """One more port of a server that is there. Raises as `networks` does."""
    wish = NetworkRequest(port_id=request.port_id, network_id=request.network_id, fixed_ip=request.fixed_ip)
    if wish.port_id and wish.fixed_ip:
        raise invalid("fixed_ip", "a port that exists has its addresses already.")
    return await _checked(peers, wish, "port_id")


async def security_groups(
    peers: Peers, request: CreateServerRequest | AttachPortRequest
) -> list[SecurityGroup]:
    """The groups named, by id or name. Raises NOT_FOUND, INVALID_ARGUMENT for a name that several have."""
    if not request.security_groups:
        return []
    stub: Any = peers.stub(SecurityGroupServiceStub, service="network")
    listed = walk(stub.ListSecurityGroups, ListSecurityGroupsRequest(), "security_groups")
    known: list[SecurityGroup] = [group async for group in listed]
    found = [_group(known, word) for word in request.security_groups]
    return list({group.id: group for group in found}.values())


def _group(known: list[SecurityGroup], word: str) -> SecurityGroup:
    matching = [group for group in known if word == group.id] or [g for g in known if word == g.name]
    if not matching:
        raise not_found("security_group", word)
    if len(matching) > 1:
        raise invalid("security_groups", f"{word!r} is the name of {len(matching)} groups: give an id.")
    return matching[0]


async def _only_network(peers: Peers, caller: Caller) -> Network | None:
    """The project's own one, or else the one that is shared with everybody."""
    stub: Any = peers.stub(NetworkServiceStub, service="network")
    answer = await stub.ListNetworks(ListNetworksRequest(page_size=1000))
    inner = [network for network in answer.networks if not network.external]
    own = [network for network in inner if network.project_id == caller.project_id]
    usable = own or [network for network in inner if network.shared]
    if len(usable) > 1:
        raise invalid("networks", f"there are {len(usable)} networks: name the ones that it is to be on.")
    return usable[0] if usable else None


def _check_distinct(request: CreateServerRequest) -> None:
    ports = [wish.port_id for wish in request.networks if wish.port_id]
    if len(set(ports)) < len(ports):
        raise invalid("networks", "names a port twice.")
    for i, wish in enumerate(request.networks):
        if bool(wish.port_id) == bool(wish.network_id):
            raise invalid(f"networks[{i}]", "give either port_id or network_id.")
        if wish.port_id and wish.fixed_ip:
            raise invalid(f"networks[{i}].fixed_ip", "a port that exists has its addresses already.")


async def _checked(peers: Peers, wish: NetworkRequest, path: str) -> dict[str, Any]:
    ports: Any = peers.stub(PortServiceStub, service="network")
    network_id = wish.network_id
    if wish.port_id:
        port = await ports.GetPort(GetPortRequest(id=wish.port_id))
        if port.device_id:
            raise CloudError(
                "IN_USE",
                f"{path}: the port {port.id} belongs to another device: choose one that is free.",
                resource_type="port",
                id=port.id,
                used_by_type=port.device_owner,
                used_by_id=port.device_id,
            )
        network_id = port.network_id
    stub: Any = peers.stub(NetworkServiceStub, service="network")
    network = await stub.GetNetwork(GetNetworkRequest(id=network_id))
    if wish.fixed_ip:
        await ports.CreatePort(
            CreatePortRequest(
                network_id=network_id, fixed_ips=[FixedIp(ip_address=wish.fixed_ip)], validate_only=True
            )
        )
    return _wanted(network, port_id=wish.port_id, fixed_ip=wish.fixed_ip)


def _wanted(network: Network, port_id: str = "", fixed_ip: str = "") -> dict[str, Any]:
    return {"network_id": network.id, "port_id": port_id, "fixed_ip": fixed_ip, "mtu": network.mtu}
