"""One HTTP/1.1 request and its answer, on a connection of their own that ends with them.

h11 knows the protocol. What blocks is done by one thread, which an exchange has for itself: TLS on a socket
that may block carries twice of what it does on an event loop, and leaves the loop to others.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import h11

from mesh.errors import CloudError

P = ParamSpec("P")
T = TypeVar("T")
Headers = Iterable[tuple[str, str]]

PIECE_BYTES = 1 << 20
_RECORD = 16 << 10  # the most that TLS gives at once
_LONGEST_HEAD = 64 << 10
# Seconds: for the handshake and the request's head; until what has come of a piece is handed on; for the body
# of a request that is refused; for one piece to go; and for the peer to see the end of the answer.
_HEAD, _PAUSE, _HEARD, _SEND, _LINGER = 10.0, 1.0, 10.0, 300.0, 2.0


class Exchange:
    """A connection that was accepted. `names` and `peer` are known once it is `begun`."""

    def __init__(self, accepted: socket.socket) -> None:
        self._wire: socket.socket | ssl.SSLSocket = accepted
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bulk")
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)
        self._left: int | None = None  # bytes of the body that h11 does not see; None where it sees all
        self.names: tuple[bytes, ...] = ()
        self.peer = ""
        self.answered = False

    async def begun(self, trust: ssl.SSLContext) -> h11.Request:
        """The head of the request. Raises OSError or h11.ProtocolError for a peer who does not come to it."""
        return await self._run(self._begin, trust)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The request's body. Raises CANCELLED when the connection ends before it."""
        while (piece := await self._run(self._piece)) is not None:
            if piece:
                yield piece

    async def hear_out(self) -> None:
        """Take what is left of the body, for a while: many clients hear nothing before they have sent it."""
        if self._http.they_are_waiting_for_100_continue:
            return
        with suppress(TimeoutError, CloudError):
            async with asyncio.timeout(_HEARD):
                async for _ in self.chunks():
                    continue

    async def answer(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """The head of the answer, and its body unless `give` is to bring it."""
        self.answered = True
        await self._run(self._answer, status, headers, body)

    async def give(self, descriptor: int, offset: int, end: int) -> None:
        """These bytes of a file as the answer's body. Raises CANCELLED when the peer goes away."""
        await self._run(self._give, descriptor, offset, end)

    async def close(self, *, whole: bool) -> None:
        """End the connection: at once, or when the peer has seen that the answer is `whole`."""
        if not whole:
            self.cut()
        await asyncio.shield(self._run(self._close))
        self._thread.shutdown(wait=False)

    def cut(self) -> None:
        """Nothing more comes or goes, whatever a thread is at."""
        with suppress(OSError):
            socket.socket.shutdown(self._wire, socket.SHUT_RDWR)

    async def _run(self, blocking: Callable[P, T], *args: P.args, **_: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, blocking, *args)

    def _begin(self, trust: ssl.SSLContext) -> h11.Request:
        self._wire.settimeout(_HEAD)
        self.peer = _place(self._wire)
        self._wire = wire = trust.wrap_socket(self._wire, server_side=True)
        said: Any = wire.getpeercert()
        self.names = tuple(name.encode() for _, name in said.get("subjectAltName", ()))
        request = self._event()
        if not isinstance(request, h11.Request):
            raise h11.RemoteProtocolError("no request came")
        wire.settimeout(_PAUSE)
        said_of = dict(request.headers)
        if b"content-length" in said_of and b"transfer-encoding" not in said_of:  # which would go before it
            self._left = int(said_of[b"content-length"]) - len(self._http.trailing_data[0])
        return request

    def _event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(self._wire.recv(_RECORD))
        return event  # type: ignore[return-value]

    def _piece(self) -> bytes | None:
        """What came within the pause; None at the end."""
        try:
            if self._http.they_are_waiting_for_100_continue:
                self._wire.sendall(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            if self._left is None or self._http.trailing_data[0]:
                return self._framed()
            return self._plain(self._left) if self._left else None
        except TimeoutError:
            return b""
        except (OSError, h11.RemoteProtocolError) as error:
            raise _cut() from error

    def _framed(self) -> bytes | None:
        """By h11: what came with the head, and a body whose length nobody told."""
        event = self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    def _plain(self, left: int) -> bytes:
        """A body of known length is nothing but its bytes, which h11 would copy twice."""
        piece, got, ends = bytearray(min(PIECE_BYTES, left)), 0, time.monotonic() + _PAUSE
        with memoryview(piece) as room:
            while got < len(piece) and (not got or time.monotonic() < ends):
                try:
                    more = self._wire.recv_into(room[got:])
                except TimeoutError:
                    break
                if not more:
                    raise _cut()
                got += more
        del piece[got:]
        self._left = left - got
        return piece  # type: ignore[return-value]  # nobody writes to it any more

    def _answer(self, status: int, headers: Headers, body: bytes) -> None:
        self._wire.settimeout(_SEND)
        said = [*headers, ("Connection", "close")]
        try:
            self._wire.sendall(self._http.send(h11.Response(status_code=status, headers=said)) + body)
        except OSError as error:
            raise _cut() from error

    def _give(self, descriptor: int, offset: int, end: int) -> None:
        with memoryview(bytearray(PIECE_BYTES)) as room:
            while offset < end:
                got = os.preadv(descriptor, [room[: end - offset]], offset)
                if not got:
                    raise CloudError(
                        "INTERNAL", "The content is shorter than its file was when it was opened."
                    )
                try:
                    self._wire.sendall(room[:got])
                except OSError as error:
                    raise _cut() from error
                offset += got

    def _close(self) -> None:
        """A connection that is closed over bytes which nobody has read is reset, and with it the answer."""
        ends = time.monotonic() + _LINGER
        with suppress(OSError):
            socket.socket.shutdown(self._wire, socket.SHUT_WR)
            self._wire.settimeout(_LINGER)
            while time.monotonic() < ends and self._wire.recv(_RECORD):
                continue
        self._wire.close()


def _cut() -> CloudError:
    return CloudError("CANCELLED", "The connection ended before the content did: begin it again.")


def _place(wire: socket.socket) -> str:
    """Where the peer is, as gRPC writes it."""
    if wire.family == socket.AF_UNIX:
        return "unix:"
    host, port, *_ = wire.getpeername()
    return f"ipv6:[{host}]:{port}" if wire.family == socket.AF_INET6 else f"ipv4:{host}:{port}"
