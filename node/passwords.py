"""Passwords that guests leave for their owners, at the place where cloud images look for it.

They are handed on to compute, which keeps them, and asked for there: a host remembers none.
"""

from http import HTTPStatus
from typing import Any

from mesh.channel import Peers
from mesh.errors import CloudError
from weft.compute.v1.password_service_pb2 import GetLeftPasswordRequest, LeavePasswordRequest
from weft.compute.v1.password_service_pb2_grpc import PasswordServiceStub

# Octets, as Nova takes.
_LONGEST = 1020
_PATIENCE = 10.0
# A server that is new to compute as one of this host's will be known in a moment.
_STATUSES = {
    "ALREADY_EXISTS": HTTPStatus.CONFLICT,
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
}


class Passwords:
    """Answers guests of this host."""

    def __init__(self, peers: Peers, host_id: str) -> None:
        self._host_id = host_id
        self._compute: Any = peers.stub(PasswordServiceStub, service="compute")

    async def answer(self, server_id: str, method: str, body: bytes) -> tuple[HTTPStatus, bytes]:
        """GET what the guest has left, POST what it leaves. 503 where compute cannot tell: ask again."""
        try:
            if method == "GET":
                return HTTPStatus.OK, await self._left(server_id)
            if method == "POST":
                return await self._leave(server_id, body)
        except CloudError as error:
            return _STATUSES.get(error.reason, HTTPStatus.SERVICE_UNAVAILABLE), b""
        return HTTPStatus.METHOD_NOT_ALLOWED, b""

    async def _left(self, server_id: str) -> bytes:
        request = GetLeftPasswordRequest(host_id=self._host_id, server_id=server_id)
        return (await self._compute.GetLeftPassword(request, timeout=_PATIENCE)).encrypted.encode()

    async def _leave(self, server_id: str, body: bytes) -> tuple[HTTPStatus, bytes]:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = ""
        if not text or len(body) > _LONGEST:
            return HTTPStatus.BAD_REQUEST, b""
        request = LeavePasswordRequest(host_id=self._host_id, server_id=server_id, encrypted=text)
        await self._compute.LeavePassword(request, timeout=_PATIENCE)
        return HTTPStatus.OK, b""
