"""How every call that does something with a server begins: one at a time, and not while it is locked."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from mesh import replay
from mesh.caller import Caller, current
from mesh.database import Connection, Database, Row
from mesh.errors import CloudError
from services.compute import messages, model, other_work
from services.compute.api.visibility import shown
from services.compute.flows.app import App
from services.compute.store import servers
from weft.compute.v1.resources_pb2 import Server
from weft.image.v1.image_service_pb2 import GetImageRequest
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.resources_pb2 import Image

# A call that meets another one's last moments waits for it this long, in seconds, before it is refused.
PATIENCE = 5.0
Begin = Callable[[Connection, Row[Any], Caller], Row[Any]]
M = TypeVar("M", bound=Message)


class Acting:
    """What the calls have in common."""

    _app: App
    _database: Database

    async def _act(self, request: Any, begin: Begin) -> Server:
        """Begin an operation. LOCKED, and WRONG_STATUS while another one is under way."""

        def begun(connection: Connection, row: Row[Any], caller: Caller) -> Server:
            model.require_unlocked(row, "admin" in caller.roles)
            return messages.server(begin(connection, row, caller))

        return shown(await self._begin(request, Server, begun), current())

    async def _begin(
        self, request: Any, answer: type[M], begin: Callable[[Connection, Row[Any], Caller], M]
    ) -> M:
        """What `begin` answers, after the operation that is under way where that leaves the status alone."""
        caller = current()

        def unit(connection: Connection) -> M:
            def do() -> M:
                return begin(connection, servers.get(connection, request.id, caller.reach, lock=True), caller)

            return replay.once(connection, caller, request, answer, do)

        patience = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                return await self._database.write(unit)
            except model.Busy as busy:
                if not await self._over(busy.operation_id, patience):
                    raise

    async def _image(self, id: str) -> Image:
        """An image that the caller sees. NOT_FOUND."""
        stub: Any = self._app.peers.stub(ImageServiceStub, service="image")
        return await stub.GetImage(GetImageRequest(id=id))

    async def _image_if_there(self, id: str) -> Image:
        """An empty one where the server's image is gone, or is not the caller's to see any more."""
        if not id:
            return Image()
        try:
            return await self._image(id)
        except CloudError as error:
            if error.reason != "NOT_FOUND":
                raise
            return Image()

    async def _over(self, operation_id: str, until: float) -> bool:
        """Whether the operation ended in time: a volume is seen IN_USE just before its attachment ends."""
        try:
            async with asyncio.timeout_at(until):
                await other_work.ended(self._database, operation_id)
        except TimeoutError:
            return False
        return True
