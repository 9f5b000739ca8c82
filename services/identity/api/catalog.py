"""The catalogue: what services there are, and where."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import Caller, current
from mesh.database import Database
from mesh.errors import invalid, not_found
from services.identity.api import messages
from services.identity.model import is_system
from services.identity.store import endpoints, services
from weft.identity.v1 import catalog_service_pb2 as pb
from weft.identity.v1.catalog_resources_pb2 import Service
from weft.identity.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from weft.identity.v1.resources_pb2 import Endpoint


class Catalog(CatalogServiceServicer):
    """weft.identity.v1.CatalogService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetEndpoint(self, request: pb.GetEndpointRequest, context: Any) -> Endpoint:
        """One endpoint; a disabled one for the system only."""
        if _unscoped(current()):
            raise not_found("endpoint", request.id)
        row = await self._database.read(endpoints.get, request.id, is_system(current()))
        return messages.endpoint(row)

    async def ListEndpoints(self, request: pb.ListEndpointsRequest, context: Any) -> pb.ListEndpointsResponse:
        """A page of endpoints; the disabled for the system only."""
        caller = current()
        if _unscoped(caller):
            return pb.ListEndpointsResponse()
        rows, more = await self._database.read(endpoints.listed, request, caller, is_system(caller))
        return pb.ListEndpointsResponse(endpoints=map(messages.endpoint, rows), next_page_token=more)

    async def CreateEndpoint(self, request: pb.CreateEndpointRequest, context: Any) -> Endpoint:
        """A new endpoint."""
        values = {name: getattr(request, name) for name in ("region", "interface", "url")}
        values["enabled"] = not request.disabled
        kind, name, id = request.service_type, request.service_name, request.service_id
        if bool(id) == bool(kind or name) or (name and not kind):
            raise invalid("service_id", "give either it, or service_type and service_name")

        def do(unit: Any) -> Endpoint:
            service_id = id or services.there(unit, kind, name)
            return messages.endpoint(endpoints.create(unit, {**values, "service_id": service_id}))

        return await mutation.change(self._database, request, Endpoint, do)

    async def UpdateEndpoint(self, request: pb.UpdateEndpointRequest, context: Any) -> Endpoint:
        """Changes an endpoint."""
        allowed = ["url", "enabled", "region", "interface", "service_id"]
        values = masks.apply(request.update_mask, request.endpoint, allowed)
        for name in values.keys() - {"enabled"}:
            if not values[name]:
                raise invalid(f"endpoint.{name}", "cannot be empty")

        def do(unit: Any) -> Endpoint:
            row = endpoints.update(unit, request.id, request.expected_revision, values)
            return messages.endpoint(row)

        return await mutation.change(self._database, request, Endpoint, do)

    async def DeleteEndpoint(self, request: pb.DeleteEndpointRequest, context: Any) -> Empty:
        """Deletes an endpoint."""
        return await mutation.delete(
            self._database,
            request,
            lambda unit: endpoints.remove(unit, request.id, request.expected_revision),
        )

    async def GetService(self, request: pb.GetServiceRequest, context: Any) -> Service:
        """One service."""
        return messages.service(await self._database.read(services.get, request.id))

    async def ListServices(self, request: pb.ListServicesRequest, context: Any) -> pb.ListServicesResponse:
        """A page of services."""
        rows, more = await self._database.read(services.listed, request, current())
        return pb.ListServicesResponse(services=map(messages.service, rows), next_page_token=more)

    async def CreateService(self, request: pb.CreateServiceRequest, context: Any) -> Service:
        """A new service."""
        values = {name: getattr(request, name) for name in ("type", "name", "description")}
        values["enabled"] = not request.disabled
        return await mutation.change(
            self._database, request, Service, lambda unit: messages.service(services.create(unit, values))
        )

    async def UpdateService(self, request: pb.UpdateServiceRequest, context: Any) -> Service:
        """Changes a service."""
        allowed = ["type", "name", "description", "enabled"]
        values = masks.apply(request.update_mask, request.service, allowed)
        if values.get("type", "?") == "":
            raise invalid("service.type", "cannot be empty")

        def do(unit: Any) -> Service:
            return messages.service(services.update(unit, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, Service, do)

    async def DeleteService(self, request: pb.DeleteServiceRequest, context: Any) -> Empty:
        """Deletes a service with its endpoints."""
        return await mutation.delete(
            self._database, request, lambda unit: services.remove(unit, request.id, request.expected_revision)
        )


def _unscoped(caller: Caller) -> bool:
    """Who has a token for nothing is told where nothing is, as in the answer to the login."""
    return caller.scope == "none" and not is_system(caller)
