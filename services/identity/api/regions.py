"""Regions: places of the cloud."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import current
from mesh.database import Database
from services.identity.api import messages
from services.identity.store import regions
from weft.identity.v1 import region_service_pb2 as pb
from weft.identity.v1.catalog_resources_pb2 import Region
from weft.identity.v1.region_service_pb2_grpc import RegionServiceServicer


class Regions(RegionServiceServicer):
    """weft.identity.v1.RegionService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetRegion(self, request: pb.GetRegionRequest, context: Any) -> Region:
        """One region."""
        return messages.region(await self._database.read(regions.get, request.id))

    async def ListRegions(self, request: pb.ListRegionsRequest, context: Any) -> pb.ListRegionsResponse:
        """A page of regions."""
        rows, more = await self._database.read(regions.listed, request, current())
        return pb.ListRegionsResponse(regions=map(messages.region, rows), next_page_token=more)

    async def CreateRegion(self, request: pb.CreateRegionRequest, context: Any) -> Region:
        """A new region."""
        values = {
            "name": request.name,
            "description": request.description,
            "parent_id": request.parent_id or None,
        }
        return await mutation.change(
            self._database, request, Region, lambda unit: messages.region(regions.create(unit, values))
        )

    async def UpdateRegion(self, request: pb.UpdateRegionRequest, context: Any) -> Region:
        """Changes a region."""
        allowed = {"description": ..., "parent_id": lambda id: id or None}
        values = masks.apply(request.update_mask, request.region, allowed)

        def do(unit: Any) -> Region:
            return messages.region(regions.update(unit, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, Region, do)

    async def DeleteRegion(self, request: pb.DeleteRegionRequest, context: Any) -> Empty:
        """Deletes a region that nothing is in."""
        return await mutation.delete(
            self._database, request, lambda unit: regions.remove(unit, request.id, request.expected_revision)
        )
