"""The catalogue: where the services are."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks
from mesh.caller import current
from mesh.database import Database
from mesh.errors import invalid
from services.identity.api import messages, units
from services.identity.model import is_system
from services.identity.store import endpoints
from weft.identity.v1 import catalog_service_pb2 as pb
from weft.identity.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from weft.identity.v1.resources_pb2 import Endpoint


class Catalog(CatalogServiceServicer):
    """weft.identity.v1.CatalogService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetEndpoint(self, request: pb.GetEndpointRequest, context: Any) -> Endpoint:
        """One endpoint; a disabled one for the system only."""
        row = await self._database.read(endpoints.get, request.id, is_system(current()))
        return messages.endpoint(row)

    async def ListEndpoints(self, request: pb.ListEndpointsRequest, context: Any) -> pb.ListEndpointsResponse:
        """A page of endpoints; the disabled for the system only."""
        caller = current()
        rows, more = await self._database.read(endpoints.listed, request, caller, is_system(caller))
        return pb.ListEndpointsResponse(endpoints=map(messages.endpoint, rows), next_page_token=more)

    async def CreateEndpoint(self, request: pb.CreateEndpointRequest, context: Any) -> Endpoint:
        """A new endpoint."""
        names = ("region", "service_type", "service_name", "interface", "url")
        values = {name: getattr(request, name) for name in names}
        return await units.change(
            self._database, request, Endpoint, lambda unit: messages.endpoint(endpoints.create(unit, values))
        )

    async def UpdateEndpoint(self, request: pb.UpdateEndpointRequest, context: Any) -> Endpoint:
        """Changes an endpoint."""
        values = masks.apply(request.update_mask, request.endpoint, ["url", "enabled"])
        if values.get("url", "?") == "":
            raise invalid("endpoint.url", "cannot be empty")

        def do(unit: Any) -> Endpoint:
            row = endpoints.update(unit, request.id, request.expected_revision, values)
            return messages.endpoint(row)

        return await units.change(self._database, request, Endpoint, do)

    async def DeleteEndpoint(self, request: pb.DeleteEndpointRequest, context: Any) -> Empty:
        """Deletes an endpoint."""
        return await units.delete(
            self._database,
            request,
            lambda unit: endpoints.remove(unit, request.id, request.expected_revision),
        )
