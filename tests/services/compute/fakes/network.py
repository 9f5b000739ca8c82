"""Network: networks, subnets, ports and security groups."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids
from mesh.caller import current
from mesh.errors import CloudError, not_found
from mesh.server import Part, Runtime, Service
from tests.services.compute.fakes.faults import Faulty
from weft.network.v1 import (
    network_service_pb2,
    network_service_pb2_grpc,
    port_service_pb2,
    port_service_pb2_grpc,
    security_group_service_pb2,
    security_group_service_pb2_grpc,
    subnet_service_pb2,
    subnet_service_pb2_grpc,
)
from weft.network.v1.resources_pb2 import FixedIp, Network, Port, SecurityGroup, Subnet


class Networks(
    Faulty,
    network_service_pb2_grpc.NetworkServiceServicer,
    subnet_service_pb2_grpc.SubnetServiceServicer,
    port_service_pb2_grpc.PortServiceServicer,
    security_group_service_pb2_grpc.SecurityGroupServiceServicer,
):
    """Ports get addresses in order; a deleted port is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.networks: dict[str, Network] = {}
        self.subnets: dict[str, Subnet] = {}
        self.ports: dict[str, Port] = {}
        self.groups: dict[str, SecurityGroup] = {}
        self._next_address = 10
        self.watchers: set[asyncio.Queue[Port]] = set()
        self.watched = asyncio.Event()

    def part(self) -> Part:
        def build(runtime: Runtime) -> Service:
            return Service(
                [
                    (network_service_pb2_grpc.add_NetworkServiceServicer_to_server, self),
                    (subnet_service_pb2_grpc.add_SubnetServiceServicer_to_server, self),
                    (port_service_pb2_grpc.add_PortServiceServicer_to_server, self),
                    (security_group_service_pb2_grpc.add_SecurityGroupServiceServicer_to_server, self),
                ]
            )

        return Part("network", build)

    def add_network(self, project_id: str, **fields: Any) -> Network:
        network = Network(id=ids.new(), project_id=project_id, mtu=1450, **fields)
        subnet = Subnet(
            id=ids.new(),
            network_id=network.id,
            cidr="10.0.0.0/24",
            gateway_ip="10.0.0.1",
            dns_nameservers=["10.0.0.2"],
        )
        self.networks[network.id], self.subnets[subnet.id] = network, subnet
        return network

    def add_port(self, network: Network, **fields: Any) -> Port:
        port = Port(id=ids.new(), project_id=network.project_id, network_id=network.id, **fields)
        self.ports[port.id] = self._addressed(port)
        return port

    def give(self, port_id: str, *addresses: str, told: bool = True) -> Port:
        """The port has these addresses from now on, as a copy, which watchers are told."""
        port = self.ports[port_id]
        del port.fixed_ips[1:]
        port.fixed_ips[0].ip_address = addresses[0]
        port.fixed_ips.extend(FixedIp(ip_address=address) for address in addresses[1:])
        port.revision += 1
        now = Port.FromString(port.SerializeToString())
        if told:
            self.tell(now)
        return now

    def tell(self, port: Port) -> None:
        """Watchers hear of the port as it is here."""
        for queue in self.watchers:
            queue.put_nowait(port)

    def add_group(self, project_id: str, name: str) -> SecurityGroup:
        group = SecurityGroup(id=ids.new(), project_id=project_id, name=name)
        self.groups[group.id] = group
        return group

    def _addressed(self, port: Port) -> Port:
        self._next_address += 1
        port.updated_at.GetCurrentTime()
        port.mac_address = f"52:54:00:00:00:{self._next_address % 256:02x}"
        subnet_id = next(s.id for s in self.subnets.values() if s.network_id == port.network_id)
        if not port.fixed_ips:
            port.fixed_ips.append(FixedIp(ip_address=f"10.0.0.{self._next_address}"))
        port.fixed_ips[0].subnet_id = subnet_id
        return port

    def _get(self, kind: str, among: dict[str, Any], id: str) -> Any:
        reach = current().reach
        found = among.get(id)
        if found is None or (reach not in (None, found.project_id) and not getattr(found, "shared", False)):
            raise not_found(kind, id)
        return found

    async def GetNetwork(self, request: Any, context: Any) -> Network:
        self.called("GetNetwork")
        return self._get("network", self.networks, request.id)

    async def ListNetworks(self, request: Any, context: Any) -> Any:
        self.called("ListNetworks")
        reach = current().reach
        seen = [n for n in self.networks.values() if n.shared or reach in (None, n.project_id)]
        return network_service_pb2.ListNetworksResponse(networks=seen)

    async def ListSubnets(self, request: Any, context: Any) -> Any:
        self.called("ListSubnets")
        found = [s for s in self.subnets.values() if s.network_id == request.network_id]
        return subnet_service_pb2.ListSubnetsResponse(subnets=found)

    async def ListSecurityGroups(self, request: Any, context: Any) -> Any:
        self.called("ListSecurityGroups")
        mine = [g for g in self.groups.values() if current().reach in (None, g.project_id)]
        return security_group_service_pb2.ListSecurityGroupsResponse(security_groups=mine)

    async def GetPort(self, request: Any, context: Any) -> Port:
        self.called("GetPort")
        return self._get("port", self.ports, request.id)

    async def ListPorts(self, request: Any, context: Any) -> Any:
        self.called("ListPorts")
        found = [p for p in self.ports.values() if request.device_owner in ("", p.device_owner)]
        return port_service_pb2.ListPortsResponse(ports=found)

    async def WatchPorts(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.called("WatchPorts")
        queue: asyncio.Queue[Port] = asyncio.Queue()
        self.watchers.add(queue)
        self.watched.set()
        try:
            while True:
                yield port_service_pb2.WatchPortsResponse(type="UPDATED", port=await queue.get())
        finally:
            self.watchers.discard(queue)

    async def CreatePort(self, request: Any, context: Any) -> Port:
        self.called("CreatePort")
        network = self._get("network", self.networks, request.network_id)
        wanted = {ip.ip_address for ip in request.fixed_ips}
        taken = {ip.ip_address for p in self.ports.values() if p.id != request.id for ip in p.fixed_ips}
        if wanted & taken:
            raise CloudError("ADDRESS_IN_USE", f"{wanted & taken} is taken.")
        port = Port(
            id=request.id or ids.new(),
            project_id=current().project_id or network.project_id,
            network_id=network.id,
            device_owner=request.device_owner,
            device_id=request.device_id,
            host_id=request.host_id,
            fixed_ips=request.fixed_ips,
            security_group_ids=request.security_group_ids,
        )
        if request.validate_only:
            return port
        if port.id not in self.ports:
            self.ports[port.id] = self._addressed(port)
        return self.ports[port.id]

    async def DeletePort(self, request: Any, context: Any) -> Empty:
        self.called("DeletePort")
        if self.ports.pop(request.id, None) is None and not request.allow_missing:
            raise not_found("port", request.id)
        return Empty()

    async def BindPort(self, request: Any, context: Any) -> Port:
        self.called("BindPort")
        port = self._get("port", self.ports, request.id)
        if port.host_id and (port.host_id, port.device_id) != (request.host_id, request.device_id):
            raise CloudError("WRONG_STATUS", f"The port {port.id} is bound to another.")
        port.host_id, port.device_id = request.host_id, request.device_id
        return port

    async def UnbindPort(self, request: Any, context: Any) -> Port:
        self.called("UnbindPort")
        port = self._get("port", self.ports, request.id)
        if request.host_id in ("", port.host_id):
            port.host_id = port.device_id = ""
        return port
