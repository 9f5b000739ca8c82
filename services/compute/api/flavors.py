"""FlavorService."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids, masks, rehearsal, replay
from mesh.caller import Caller, current
from mesh.database import Connection, Database
from mesh.errors import CloudError
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
        return await rehearsal.write(self._database, request.validate_only, _create, request, current())

    async def UpdateFlavor(self, request: UpdateFlavorRequest, context: Any) -> Flavor:
        values = masks.apply(request.update_mask, request.flavor, _CHANGEABLE)
        model.check_extra_specs(values.get("extra_specs", {}), "flavor.extra_specs")
        return await rehearsal.write(
            self._database, request.validate_only, _update, request, current(), values
        )

    async def DeleteFlavor(self, request: DeleteFlavorRequest, context: Any) -> Empty:
        return await self._database.write(_delete, request, current())

    async def AddFlavorAccess(self, request: AddFlavorAccessRequest, context: Any) -> Flavor:
        return await self._database.write(_set_access, request, current(), flavors.add_access)

    async def RemoveFlavorAccess(self, request: RemoveFlavorAccessRequest, context: Any) -> Flavor:
        return await self._database.write(_set_access, request, current(), flavors.remove_access)

    async def ListFlavorAccess(
        self, request: ListFlavorAccessRequest, context: Any
    ) -> ListFlavorAccessResponse:
        rows, token = await self._database.read(flavors.access, request, current())
        return ListFlavorAccessResponse(project_ids=[row.project_id for row in rows], next_page_token=token)


def _create(connection: Connection, request: CreateFlavorRequest, caller: Caller) -> Flavor:
    values = {name: getattr(request, name) for name in _GIVEN}
    values |= {"public": not request.private, "disabled": False, "extra_specs": dict(request.extra_specs)}
    values["id"] = request.id or ids.new()
    return replay.once(
        connection, caller, request, Flavor, lambda: messages.flavor(flavors.create(connection, values))
    )


def _update(
    connection: Connection, request: UpdateFlavorRequest, caller: Caller, values: dict[str, Any]
) -> Flavor:
    def do() -> Flavor:
        return messages.flavor(flavors.update(connection, request.id, request.expected_revision, values))

    return replay.once(connection, caller, request, Flavor, do)


def _delete(connection: Connection, request: DeleteFlavorRequest, caller: Caller) -> Empty:
    def do() -> Empty:
        try:
            flavors.remove(connection, request.id, request.expected_revision)
        except CloudError as error:
            if not (error.reason == "NOT_FOUND" and request.allow_missing):
                raise
        return Empty()

    return replay.once(connection, caller, request, Empty, do)


def _set_access(connection: Connection, request: Any, caller: Caller, change: Any) -> Flavor:
    def do() -> Flavor:
        return messages.flavor(change(connection, request.id, request.project_id))

    return replay.once(connection, caller, request, Flavor, do)
