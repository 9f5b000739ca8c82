"""The compute service: `python -m services.compute`."""

from pathlib import Path

from mesh.limits import Limits
from mesh.operations import OperationServicer
from mesh.reconcile import Sweep
from mesh.server import Runtime, Service, main
from services.compute import confirmations, tables
from services.compute.api.flavors import FlavorService
from services.compute.api.hosts import HostService
from services.compute.api.key_pairs import KeyPairService
from services.compute.api.passwords import PasswordService
from services.compute.api.server_groups import ServerGroupService
from services.compute.api.servers import ServerService
from services.compute.flows.app import App
from services.compute.flows.boot import BOOT
from services.compute.flows.cards import ATTACH_PORT, DETACH_PORT
from services.compute.flows.delete import DELETE
from services.compute.flows.freezing import PAUSE, RESUME, SUSPEND, UNPAUSE
from services.compute.flows.power import REBOOT, START, STOP
from services.compute.flows.rebuild import REBUILD
from services.compute.flows.resize import RESIZE
from services.compute.flows.resize_ends import CONFIRM, REVERT
from services.compute.flows.snapshot import SNAPSHOT
from services.compute.flows.volumes import ATTACH, DETACH
from services.compute.nodes import Nodes
from services.compute.port_addresses import PortAddresses
from services.compute.reconcile import Reconciler
from weft.compute.v1.flavor_service_pb2_grpc import add_FlavorServiceServicer_to_server
from weft.compute.v1.host_service_pb2_grpc import add_HostServiceServicer_to_server
from weft.compute.v1.key_pair_service_pb2_grpc import add_KeyPairServiceServicer_to_server
from weft.compute.v1.operation_service_pb2_grpc import add_OperationServiceServicer_to_server
from weft.compute.v1.password_service_pb2_grpc import add_PasswordServiceServicer_to_server
from weft.compute.v1.server_group_service_pb2_grpc import add_ServerGroupServiceServicer_to_server
from weft.compute.v1.server_service_pb2_grpc import add_ServerServiceServicer_to_server

TABLES = tables.metadata
MIGRATIONS = Path(__file__).parent / "migrations"
FLOWS = (
    *(BOOT, DELETE, START, STOP, REBOOT, PAUSE, UNPAUSE, SUSPEND, RESUME),
    *(ATTACH, DETACH, ATTACH_PORT, DETACH_PORT),
    *(REBUILD, SNAPSHOT, RESIZE, CONFIRM, REVERT),
)


def build(runtime: Runtime) -> Service:
    """Wire the servicers, flows and sweeps of compute."""
    app = App(runtime.database, runtime.peers, Nodes(runtime.peers, runtime.database))
    runtime.use_flows(FLOWS, app)
    reconciler = Reconciler(app)
    limits = Limits(runtime.peers, "compute", runtime.news)
    waits = runtime.settings.section("compute", confirmations.Compute).confirm_resizes_seconds
    confirming = Sweep("resizes to confirm", 30, lambda: confirmations.confirm(app, waits))
    addresses = PortAddresses(app)
    servers = ServerService(app, limits, reconciler.telling)
    return Service(
        servicers=[
            (add_FlavorServiceServicer_to_server, FlavorService(runtime.database)),
            (add_KeyPairServiceServicer_to_server, KeyPairService(runtime.database)),
            (add_ServerServiceServicer_to_server, servers),
            (add_ServerGroupServiceServicer_to_server, ServerGroupService(runtime.database)),
            (add_HostServiceServicer_to_server, HostService(runtime.database, runtime.peers)),
            (add_PasswordServiceServicer_to_server, PasswordService(runtime.database)),
            (add_OperationServiceServicer_to_server, OperationServicer(runtime.database)),
        ],
        background=[
            *(sweep.run for sweep in (*reconciler.sweeps, confirming, addresses.comparing)),
            addresses.follow,
        ],
    )


if __name__ == "__main__":
    main("compute", build, TABLES)
