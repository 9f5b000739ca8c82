"""The block service: its parts, wired."""

from pathlib import Path

from mesh import server
from mesh.limits import Limits
from mesh.operations import OperationServicer
from mesh.reconcile import Sweep
from mesh.server import Runtime, Service
from mesh.warnings import Warnings
from services.block import api, reconcile
from services.block.api.base import Parts
from services.block.attaching import Attaching
from services.block.drivers import drivers
from services.block.flows import FLOWS
from services.block.flows.app import App
from services.block.sources import Elsewhere
from services.block.strays import Strays
from services.block.tables import TABLES
from weft.block.v1 import attachment_service_pb2_grpc as attachments
from weft.block.v1 import operation_service_pb2_grpc as operations
from weft.block.v1 import pool_service_pb2_grpc as pools
from weft.block.v1 import snapshot_service_pb2_grpc as snapshots
from weft.block.v1 import volume_service_pb2_grpc as volumes
from weft.block.v1 import volume_transfer_service_pb2_grpc as transfers
from weft.block.v1 import volume_type_service_pb2_grpc as types

MIGRATIONS = Path(__file__).parent / "migrations"


def build(runtime: Runtime) -> Service:
    """The servicers, flows and sweeps of one block service."""
    database = runtime.database
    app = App(database, drivers(runtime.peers))
    runtime.use_flows(FLOWS, app)
    attaching, elsewhere = Attaching(app), Elsewhere(runtime.peers)
    parts = Parts(database, Limits(runtime.peers, "block", runtime.news), app, attaching, elsewhere)
    stale = Sweep(
        "stale reservations",
        reconcile.STALE_SECONDS,
        lambda: reconcile.release_stale(app, attaching, elsewhere),
    )
    strays = Strays(app, attaching, elsewhere, Warnings(runtime.peers))
    sweeps = [
        stale,
        Sweep("attachments that nobody has", reconcile.STRAY_SECONDS, strays.attachments),
        Sweep("exports without an attachment", reconcile.STRAY_SECONDS, strays.exports),
    ]
    return Service(
        servicers=[
            (volumes.add_VolumeServiceServicer_to_server, api.VolumeApi(parts)),
            (snapshots.add_SnapshotServiceServicer_to_server, api.SnapshotApi(parts)),
            (transfers.add_VolumeTransferServiceServicer_to_server, api.VolumeTransferApi(parts)),
            (types.add_VolumeTypeServiceServicer_to_server, api.VolumeTypeApi(parts)),
            (pools.add_PoolServiceServicer_to_server, api.PoolApi(parts)),
            (attachments.add_AttachmentServiceServicer_to_server, api.AttachmentApi(parts)),
            (operations.add_OperationServiceServicer_to_server, OperationServicer(database)),
        ],
        background=[sweep.run for sweep in sweeps],
    )


if __name__ == "__main__":
    server.main("block", build, TABLES)
