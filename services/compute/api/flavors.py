"""FlavorService."""

from collections.abc import Callable
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids, masks, mutation
from mesh.caller import current
from mesh.database import Connection, Database
from services.compute import messages, model
from services.compute.store import flavors
from weft.compute.v1.flavor_service_pb2 import (
    AddFlavorAccessRequest,
    CreateFlavorRequest,
    DeleteFlavorRequest,
    GetFlavorRequest,
    ListFlavorAccessRequest,
    ListFlavorAccessResponse,
    ListFlavorsRequest,
    ListFlavorsResponse,
    RemoveFlavorAccessRequest,
    UpdateFlavorRequest,
)
from weft.compute.v1.flavor_service_pb2_grpc import FlavorServiceServicer
from weft.compute.v1.resources_pb2 import Flavor

_CHANGEABLE = ("description", "disabled", "extra_specs")
_GIVEN = ("name", "vcpus", "memory_mib", "disk_gib", "ephemeral_gib", "description")


class FlavorService(FlavorServiceServicer):
    """Sizes that servers come in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetFlavor(self, request: GetFlavorRequest, context: Any) -> Flavor:
        return messages.flavor(await self._database.peek(flavors.get, request.id, current().reach))

    async def ListFlavors(self, request: ListFlavorsRequest, context: Any) -> ListFlavorsResponse:
        rows, token = await self._database.read(flavors.list_, request, current())
        return ListFlavorsResponse(flavors=map(messages.flavor, rows), next_page_token=token)

    async def CreateFlavor(self, request: CreateFlavorRequest, context: Any) -> Flavor:
        model.check_extra_specs(request.extra_specs, "extra_specs")
        values = {name: getattr(request, name) for name in _GIVEN}
        values |= {"public": not request.private, "disabled": False, "extra_specs": dict(request.extra_specs)}
        values["id"] = request.id or ids.new()

        def create(connection: Connection) -> Flavor:
            return messages.flavor(flavors.create(connection, values))

        return await mutation.change(self._database, request, Flavor, create)

    async def UpdateFlavor(self, request: UpdateFlavorRequest, context: Any) -> Flavor:
        values = masks.apply(request.update_mask, request.flavor, _CHANGEABLE)
        model.check_extra_specs(values.get("extra_specs", {}), "flavor.extra_specs")

        def update(connection: Connection) -> Flavor:
            return messages.flavor(flavors.update(connection, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, Flavor, update)

    async def DeleteFlavor(self, request: DeleteFlavorRequest, context: Any) -> Empty:
        def delete(connection: Connection) -> None:
            flavors.remove(connection, request.id, request.expected_revision)

        return await mutation.delete(self._database, request, delete)

    async def AddFlavorAccess(self, request: AddFlavorAccessRequest, context: Any) -> Flavor:
        return await self._set_access(request, flavors.add_access)

    async def RemoveFlavorAccess(self, request: RemoveFlavorAccessRequest, context: Any) -> Flavor:
        return await self._set_access(request, flavors.remove_access)

    async def ListFlavorAccess(
        self, request: ListFlavorAccessRequest, context: Any
    ) -> ListFlavorAccessResponse:
        rows, token = await self._database.read(flavors.access, request, current())
        return ListFlavorAccessResponse(project_ids=[row.project_id for row in rows], next_page_token=token)

    async def _set_access(self, request: Any, change: Callable[[Connection, str, str], Any]) -> Flavor:
        def do(connection: Connection) -> Flavor:
            return messages.flavor(change(connection, request.id, request.project_id))

        return await mutation.change(self._database, request, Flavor, do)
