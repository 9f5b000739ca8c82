"""ServerService: servers and images: disks made anew from one, and one made of a disk."""

import asyncio
from contextlib import suppress
from typing import Any

from mesh import ids, replay
from mesh.caller import Caller, current
from mesh.database import Connection, Row
from mesh.errors import invalid
from services.compute import messages, model, other_work
from services.compute.admission import check_image, image_facts
from services.compute.api.acting import PATIENCE, Acting
from services.compute.api.visibility import shown
from services.compute.flows import endings
from services.compute.flows.rebuild import REBUILD
from services.compute.flows.snapshot import CREATE_IMAGE, SNAPSHOT
from services.compute.store import key_pairs, servers
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import (
    RebuildServerRequest,
    SnapshotServerRequest,
    SnapshotServerResponse,
)
from weft.image.v1.resources_pb2 import Image


class Images(Acting):
    """What goes from images to servers that are there, and back."""

    async def RebuildServer(self, request: RebuildServerRequest, context: Any) -> Server:
        before = await self._database.read(replay.answered, current(), request, Server)
        if before is not None:
            return shown(before, current())
        image = await self._image(request.image_id)

        def begin(connection: Connection, row: Row[Any], caller: Caller) -> Row[Any]:
            return _rebuild(connection, row, caller, request, image)

        return await self._act(request, begin)

    async def SnapshotServer(self, request: SnapshotServerRequest, context: Any) -> SnapshotServerResponse:
        caller = current()
        before = await self._database.read(replay.answered, caller, request, SnapshotServerResponse)
        if before is None:
            server = await self._database.read(servers.get, request.id, caller.reach)
            source = await self._image_if_there(server.image_id)

            def begin(connection: Connection, row: Row[Any], caller: Caller) -> SnapshotServerResponse:
                return _snapshot(connection, row, caller, request, source)

            before = await self._begin(request, SnapshotServerResponse, begin)
            await self._until_there(before.server.operation_id)
        shown(before.server, caller)
        return before

    async def _until_there(self, operation_id: str) -> None:
        """Whoever is answered an image's id will ask for it: it is there, unless that takes long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await other_work.reached(self._database, operation_id, CREATE_IMAGE)


def _rebuild(
    connection: Connection, row: Row[Any], caller: Caller, request: RebuildServerRequest, image: Image
) -> Row[Any]:
    model.require(row, model.REBUILDABLE)
    model.require_root_disk(row)
    model.require_host(row, model.REBUILDABLE)
    check_image(image, row.flavor, for_root=True)
    operation_id = ids.new()
    if request.HasField("user_data"):
        servers.keep_user_data(connection, operation_id, request.user_data.content)
    return endings.begin(
        connection,
        row,
        REBUILD,
        "REBUILDING",
        caller,
        operation_id=operation_id,
        host_id=row.host_id,
        image=image_facts(image),
        changes_of_server=_changes(connection, caller, request),
        new_user_data=request.HasField("user_data"),
    )


def _changes(connection: Connection, caller: Caller, request: RebuildServerRequest) -> dict[str, Any]:
    """What the server's row is to say afterwards."""
    found: dict[str, Any] = {"image_id": request.image_id}
    if request.name:
        found["name"] = request.name
    if request.HasField("description"):
        found["description"] = request.description
    if request.HasField("metadata"):
        found["metadata"] = dict(request.metadata.entries)
    if request.HasField("key_name"):
        name = request.key_name
        key = key_pairs.get(connection, caller.user_id, name).public_key if name else ""
        found |= {"key_name": name, "public_key": key}
    return found


def _snapshot(
    connection: Connection, row: Row[Any], caller: Caller, request: SnapshotServerRequest, source: Image
) -> SnapshotServerResponse:
    if not caller.project_id:
        raise invalid("project", "an image belongs to a project: log in to one.")
    model.require(row, model.COPYABLE)
    model.require_root_disk(row)
    image = {
        "id": ids.new(),
        "name": request.name,
        "min_memory_mib": source.min_memory_mib,
        "properties": {**source.properties, **_origin(row), **request.properties},
    }
    begun = endings.begin(connection, row, SNAPSHOT, row.status, caller, host_id=row.host_id, image=image)
    return SnapshotServerResponse(server=messages.server(begun), image_id=image["id"])


def _origin(row: Row[Any]) -> dict[str, str]:
    """What clients of OpenStack look for in the image of a server."""
    return {"image_type": "snapshot", "instance_uuid": row.id, "base_image_ref": row.image_id}
