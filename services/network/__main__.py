"""The network service: its parts, wired."""

from pathlib import Path

from mesh import ids, server
from mesh.limits import Limits
from mesh.operations import OperationServicer
from mesh.server import Runtime, Service
from services.network import reconcile
from services.network.api.base import Parts
from services.network.api.floating_ips import FloatingIps
from services.network.api.hosts import Hosts
from services.network.api.networks import Networks
from services.network.api.ports import Ports
from services.network.api.routers import Routers
from services.network.api.security_groups import SecurityGroups
from services.network.api.subnets import Subnets
from services.network.confirmations import Confirmations
from services.network.flows import FLOWS
from services.network.flows.on_hosts import App
from services.network.host_streams import HostStreams
from services.network.section import Section
from services.network.tables import TABLES
from weft.network.v1 import (
    floating_ip_service_pb2_grpc,
    host_service_pb2_grpc,
    network_service_pb2_grpc,
    operation_service_pb2_grpc,
    port_service_pb2_grpc,
    router_service_pb2_grpc,
    security_group_service_pb2_grpc,
    subnet_service_pb2_grpc,
)

MIGRATIONS = Path(__file__).parent / "migrations"


def build(runtime: Runtime) -> Service:
    """The servicers, streams and sweeps of one network service."""
    database, listener_id = runtime.database, ids.new()
    section = runtime.settings.section("network", Section)
    parts = Parts(database, Limits(runtime.peers, "network", runtime.news), section.ranges)
    confirmations = Confirmations(database)
    runtime.use_flows(FLOWS, App(database, confirmations, section.confirm_seconds))
    streams, egress = HostStreams(database), reconcile.egress_hosts(database)
    hosts = Hosts(database, streams, listener_id, egress)
    add_security_groups = security_group_service_pb2_grpc.add_SecurityGroupServiceServicer_to_server
    return Service(
        servicers=[
            (network_service_pb2_grpc.add_NetworkServiceServicer_to_server, Networks(parts)),
            (subnet_service_pb2_grpc.add_SubnetServiceServicer_to_server, Subnets(parts)),
            (port_service_pb2_grpc.add_PortServiceServicer_to_server, Ports(parts)),
            (router_service_pb2_grpc.add_RouterServiceServicer_to_server, Routers(parts)),
            (floating_ip_service_pb2_grpc.add_FloatingIpServiceServicer_to_server, FloatingIps(parts)),
            (add_security_groups, SecurityGroups(parts)),
            (host_service_pb2_grpc.add_HostNetworkServiceServicer_to_server, hosts),
            (operation_service_pb2_grpc.add_OperationServiceServicer_to_server, OperationServicer(database)),
        ],
        background=[
            reconcile.heartbeat(database, listener_id).run,
            egress.run,
            streams.run,
            confirmations.run,
        ],
    )


if __name__ == "__main__":
    server.main("network", build, TABLES)
