"""Hosts that benchmarks play are hosts to a cloud that was begun process by process."""

import asyncio
import os

import pytest

from benchmarks import bare, fleet, seeds, simulated_hosts
from benchmarks.people import person
from benchmarks.scale import Boots, Tenant
from cli.cloud import health
from weft.compute.v1.host_service_pb2 import ListHostsRequest
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.compute.v1.resources_pb2 import HOST_STATUS_UP, SERVER_STATUS_ACTIVE
from weft.compute.v1.server_service_pb2 import ListServersRequest
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.network.v1.port_service_pb2 import ListPortsRequest
from weft.network.v1.port_service_pb2_grpc import PortServiceStub

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


async def test_servers_are_booted_on_played_hosts_and_seeded_ones_are_there() -> None:
    async with bare.running("control") as cloud, fleet.playing(cloud, 1), person(cloud) as somebody:
        boots = Boots([await Tenant.prepared(somebody)])
        booted = await boots.boot()
        await asyncio.to_thread(seeds.seed, cloud.layout.state, booted, range(1, 3), 2)
        async with (
            fleet.playing(cloud, 2, first=1, guests=2),
            await health.administrator(cloud.layout) as admin,
        ):
            found = (await admin.stub(HostServiceStub).ListHosts(ListHostsRequest())).hosts
            assert {host.id for host in found if host.status == HOST_STATUS_UP} == {
                simulated_hosts.host_id(number) for number in range(3)
            }
            servers = (await admin.stub(ServerServiceStub).ListServers(ListServersRequest())).servers
            assert len({server.id for server in servers} - {booted}) == 4
            assert {server.status for server in servers} == {SERVER_STATUS_ACTIVE}
            ports = (await admin.stub(PortServiceStub).ListPorts(ListPortsRequest())).ports
            owned = {port.id: port.device_id for port in ports if port.device_owner == "compute"}
            assert owned == {port.port_id: server.id for server in servers for port in server.ports}
