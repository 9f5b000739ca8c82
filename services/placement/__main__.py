"""Placement as a process: `python -m services.placement`."""

from pathlib import Path
from typing import Any

from mesh import server
from mesh.server import Runtime, Service
from services.placement.api.allocations import Allocations
from services.placement.api.candidates import CandidateFinder
from services.placement.api.classes import Classes
from services.placement.api.providers import Providers
from services.placement.api.units import Units
from services.placement.follow import Follower
from services.placement.store import names
from services.placement.tables import TABLES
from weft.placement.v1 import (
    allocation_service_pb2_grpc,
    candidate_service_pb2_grpc,
    class_service_pb2_grpc,
    provider_service_pb2_grpc,
)

MIGRATIONS = Path(__file__).parent / "migrations"


async def build(runtime: Runtime) -> Service:
    """Placement's servicers, over a view that has been read once."""
    follower = Follower(runtime.database)
    units = Units(runtime.database, follower)
    await runtime.database.write(names.bootstrap)
    await follower.refresh()
    servicers: list[tuple[Any, Any]] = [
        (allocation_service_pb2_grpc.add_AllocationServiceServicer_to_server, Allocations(units)),
        (candidate_service_pb2_grpc.add_CandidateServiceServicer_to_server, CandidateFinder(follower)),
        (class_service_pb2_grpc.add_ClassServiceServicer_to_server, Classes(units)),
        (provider_service_pb2_grpc.add_ProviderServiceServicer_to_server, Providers(units)),
    ]
    return Service(servicers, background=[follower.run])


if __name__ == "__main__":
    server.main("placement", build, TABLES)
