"""ServerService: the serial console's log."""

import asyncio
import codecs
import re
from collections.abc import AsyncIterator
from typing import Any

from mesh.caller import current
from mesh.database import Database
from mesh.errors import CloudError
from services.compute import model
from services.compute.flows.app import App
from services.compute.nodes import reaching
from services.compute.store import servers
from weft.compute.v1.server_service_pb2 import (
    FollowConsoleRequest,
    FollowConsoleResponse,
    GetConsoleOutputRequest,
    GetConsoleOutputResponse,
)
from weft.node.v1.guest_service_pb2 import GetConsoleRequest, GetConsoleResponse

# What a host keeps at most of one log, in bytes.
_KEPT = 1 << 20
_LOOK_EVERY = 0.3
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class Console:
    """What the guest writes to its serial port."""

    _app: App
    _database: Database

    async def GetConsoleOutput(
        self, request: GetConsoleOutputRequest, context: Any
    ) -> GetConsoleOutputResponse:
        row = await self._database.read(servers.get, request.id, current().reach)
        if row.host_id is None:
            return GetConsoleOutputResponse()
        part = await self._part(row.host_id, row.id, -1)
        text = part.data.decode(errors="replace")
        if request.lines:
            text = "".join(_LINE.findall(text)[-request.lines :])
        return GetConsoleOutputResponse(output=text, size_bytes=part.size_bytes)

    async def FollowConsole(
        self, request: FollowConsoleRequest, context: Any
    ) -> AsyncIterator[FollowConsoleResponse]:
        """Until the server stops or is gone. A server that is being made is waited for; one that moves begins
        a new log on its new host.
        """
        reach, offset = current().reach, request.offset
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        row: Any = await self._database.read(servers.get, request.id, reach)
        host_id = row.host_id
        while row is not None:
            if row.host_id != host_id:
                host_id, offset = row.host_id, 0 if host_id else offset
            runs = model.may_write(row)
            part = await self._part(row.host_id, row.id, offset) if row.host_id else GetConsoleResponse()
            if part.data:
                offset = part.offset + len(part.data)
                yield FollowConsoleResponse(output=decoder.decode(part.data), offset=offset)
            elif not runs:
                return
            else:
                await asyncio.sleep(_LOOK_EVERY)
            row = await self._database.read(servers.find, request.id)

    async def _part(self, host_id: str, server_id: str, offset: int) -> GetConsoleResponse:
        """A guest that has not been made, or is no more, has written nothing."""
        request = GetConsoleRequest(server_id=server_id, offset=offset, length=_KEPT)
        try:
            with reaching(host_id):
                return await (await self._app.nodes.guests(host_id)).GetConsole(request)
        except CloudError as error:
            if error.reason != "NOT_FOUND":
                raise
            return GetConsoleResponse()
