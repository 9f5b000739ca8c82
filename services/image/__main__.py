"""The image service: its parts, wired."""

from pathlib import Path

from mesh import server
from mesh.limits import Limits
from mesh.operations import OperationServicer
from mesh.reconcile import Sweep
from mesh.server import Runtime, Service
from mesh.shared_key import shared_key
from services.image import reconcile
from services.image.api import ImageServicer, TransferApi
from services.image.api.base import Parts
from services.image.api.bulk import in_bulk
from services.image.blobs import Blobs
from services.image.contents import Contents
from services.image.flows import FLOWS
from services.image.flows.image_import import App
from services.image.grants import Grants
from services.image.sources import Sources
from services.image.tables import TABLES
from services.image.upload import Uploads
from weft.image.v1 import image_service_pb2_grpc, operation_service_pb2_grpc, transfer_service_pb2_grpc

MIGRATIONS = Path(__file__).parent / "migrations"


def build(runtime: Runtime) -> Service:
    """The servicers and sweeps of one image service."""
    database = runtime.database
    limits = Limits(runtime.peers, "image", runtime.news)
    contents = Contents(database, Blobs(Path(runtime.settings.image.store)))
    grants = Grants(shared_key(runtime.settings.state / "pki" / "grants.key"))
    sources = Sources(runtime.settings.image.import_from, runtime.settings.image.import_bytes)
    runtime.use_flows(FLOWS, App(database, limits, contents, sources))
    parts = Parts(database, limits, contents, Uploads(database, contents, limits), grants, sources)
    sweeps = [
        Sweep("dead uploads", reconcile.DEAD_UPLOADS_SECONDS, lambda: reconcile.end_dead_uploads(database)),
        Sweep("leftovers", reconcile.LEFTOVERS_SECONDS, lambda: reconcile.remove_leftovers(contents)),
    ]
    images = ImageServicer(parts)
    return Service(
        servicers=[
            (image_service_pb2_grpc.add_ImageServiceServicer_to_server, images),
            (transfer_service_pb2_grpc.add_TransferServiceServicer_to_server, TransferApi(parts)),
            (operation_service_pb2_grpc.add_OperationServiceServicer_to_server, OperationServicer(database)),
        ],
        background=[sweep.run for sweep in sweeps],
        bulk=in_bulk(parts, images),
    )


if __name__ == "__main__":
    server.main("image", build, TABLES)
