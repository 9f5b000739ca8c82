"""PasswordService: what guests leave goes in by their hosts and out to their owners, and nobody reads it."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import mutation
from mesh.caller import current
from mesh.database import Connection, Database
from mesh.errors import not_found
from services.compute.api.hosts import only_itself
from services.compute.store import passwords, servers
from weft.compute.v1.password_service_pb2 import (
    ClearPasswordRequest,
    GetLeftPasswordRequest,
    GetPasswordRequest,
    LeavePasswordRequest,
    Password,
)
from weft.compute.v1.password_service_pb2_grpc import PasswordServiceServicer


class PasswordService(PasswordServiceServicer):
    """Passwords that guests leave for their owners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetPassword(self, request: GetPasswordRequest, context: Any) -> Password:
        reach = current().reach

        def get(connection: Connection) -> str:
            return passwords.get(connection, servers.get(connection, request.server_id, reach).id)

        found = await self._database.peek(get)
        return Password(server_id=request.server_id, encrypted=found)

    async def ClearPassword(self, request: ClearPasswordRequest, context: Any) -> Empty:
        reach = current().reach

        def clear(connection: Connection) -> Empty:
            passwords.forget(connection, servers.get(connection, request.server_id, reach, lock=True).id)
            return Empty()

        return await mutation.change(self._database, request, Empty, clear)

    async def LeavePassword(self, request: LeavePasswordRequest, context: Any) -> Empty:
        only_itself(request.host_id, current())

        def leave(connection: Connection) -> None:
            _require_guest(connection, request)
            passwords.keep(connection, request.server_id, request.encrypted)

        await self._database.write(leave)
        return Empty()

    async def GetLeftPassword(self, request: GetLeftPasswordRequest, context: Any) -> Password:
        only_itself(request.host_id, current())

        def get(connection: Connection) -> str:
            _require_guest(connection, request)
            return passwords.get(connection, request.server_id)

        return Password(server_id=request.server_id, encrypted=await self._database.peek(get))


def _require_guest(connection: Connection, request: LeavePasswordRequest | GetLeftPasswordRequest) -> None:
    """Raises NOT_FOUND unless the server is on the host, which it is from the end of its boot on."""
    row = servers.find(connection, request.server_id, lock=isinstance(request, LeavePasswordRequest))
    if row is None or row.host_id != request.host_id:
        raise not_found("server", request.server_id)
