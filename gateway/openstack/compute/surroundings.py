"""What a server's document tells of the network service: names of networks, floating IPs, groups."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.openstack.call import Call
from mesh.lists import walk
from weft.compute.v1.resources_pb2 import Server
from weft.network.v1 import (
    floating_ip_service_pb2,
    network_service_pb2,
    port_service_pb2,
    resources_pb2,
    security_group_service_pb2,
)
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub


class Beside(NamedTuple):
    """What the network service says of one server: of each of its ports the network's name and the floating
    addresses that lead there, and the names of all their security groups.
    """

    networks: tuple[str, ...]
    floating: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]


@dataclass(slots=True)
class Surroundings:
    """`networks` and `groups` are names by id, `floating` by port, `of_server` ids of groups by server."""

    networks: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    floating: dict[str, list[resources_pb2.FloatingIp]] = field(default_factory=lambda: defaultdict(list))
    of_server: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def of(self, server: Server) -> Beside:
        """Those of one server."""
        ports = server.ports
        return Beside(
            tuple([self.networks.get(port.network_id, port.network_id) for port in ports]),
            tuple([tuple([each.address for each in self.floating.get(port.port_id, ())]) for port in ports]),
            tuple([self.groups.get(id, id) for id in sorted(self.of_server.get(server.id, ()))]),
        )


async def around(call: Call, servers: Iterable[Server]) -> Surroundings:
    """The surroundings of servers; nothing is asked for where none of them has a port."""
    found = Surroundings()
    with_ports = [server for server in servers if server.ports]
    if len(with_ports) == 1:
        await _of_one(call, with_ports[0], found)
    elif with_ports:
        await asyncio.gather(
            _networks(call, found), _floating(call, found, ""), _groups(call, found), _ports(call, found, "")
        )
    return found


async def _of_one(call: Call, server: Server, found: Surroundings) -> None:
    """Only what is the server's: a project, or the cloud to its administrators, may have very much."""
    await asyncio.gather(
        _ports(call, found, server.id),
        *(_network(call, found, id) for id in {port.network_id for port in server.ports}),
        *(_floating(call, found, port.port_id) for port in server.ports),
    )
    await asyncio.gather(*(_group(call, found, id) for id in found.of_server.get(server.id, ())))


async def _network(call: Call, found: Surroundings, id: str) -> None:
    stub = call.stub(NetworkServiceStub)
    found.networks[id] = (await stub.GetNetwork(network_service_pb2.GetNetworkRequest(id=id))).name


async def _group(call: Call, found: Surroundings, id: str) -> None:
    stub = call.stub(SecurityGroupServiceStub)
    request = security_group_service_pb2.GetSecurityGroupRequest(id=id)
    found.groups[id] = (await stub.GetSecurityGroup(request)).name


async def ports(call: Call, server_id: str) -> list[resources_pb2.Port]:
    """The ports of one server, oldest first."""
    return [port async for port in _all_ports(call, server_id)]


def _all_ports(call: Call, server_id: str) -> Any:
    request = port_service_pb2.ListPortsRequest(device_id=server_id)
    return walk(call.stub(PortServiceStub).ListPorts, request, "ports")


async def _ports(call: Call, found: Surroundings, server_id: str) -> None:
    async for port in _all_ports(call, server_id):
        if port.device_id:
            found.of_server[port.device_id].update(port.security_group_ids)


async def _networks(call: Call, found: Surroundings) -> None:
    rpc = call.stub(NetworkServiceStub).ListNetworks
    async for network in walk(rpc, network_service_pb2.ListNetworksRequest(), "networks"):
        found.networks[network.id] = network.name


async def _floating(call: Call, found: Surroundings, port_id: str) -> None:
    rpc = call.stub(FloatingIpServiceStub).ListFloatingIps
    request = floating_ip_service_pb2.ListFloatingIpsRequest(port_id=port_id)
    async for one in walk(rpc, request, "floating_ips"):
        if one.port_id:
            found.floating[one.port_id].append(one)


async def _groups(call: Call, found: Surroundings) -> None:
    rpc = call.stub(SecurityGroupServiceStub).ListSecurityGroups
    request = security_group_service_pb2.ListSecurityGroupsRequest()
    async for group in walk(rpc, request, "security_groups"):
        found.groups[group.id] = group.name
