"""Just enough of an HTTP server: GET and HEAD of small documents, to one client at a time per connection."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools

_PATIENCE = 20.0  # seconds that a connection may be idle or a request incomplete
_LARGEST = 16_384  # octets of a request
Lookup = Callable[[str, str], bytes | None]
"""From the client's address and a path to a document; None: there is none."""


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._path, self._received = b"", 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Part of asyncio.Protocol."""
        self._transport = transport
        self._restart_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._received += len(data)
        if self._received > _LARGEST:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, keep=False)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._transport.close()
        except httptools.HttpParserError:
            self._answer(HTTPStatus.BAD_REQUEST, keep=False)

    def on_url(self, url: bytes) -> None:
        """Part of httptools' protocol: called with pieces of the target."""
        self._path += url

    def on_message_complete(self) -> None:
        """Part of httptools' protocol: a request is there in full."""
        target, self._path, self._received = self._path, b"", 0
        self._restart_timer()
        self._respond(target, self._parser.get_method(), self._parser.should_keep_alive())

    def _respond(self, target: bytes, method: bytes, keep: bool) -> None:
        if method not in (b"GET", b"HEAD"):
            self._answer(HTTPStatus.NOT_FOUND, keep=keep)
            return
        path = (httptools.parse_url(target).path or b"/").decode("utf-8", "replace")
        peer = self._transport.get_extra_info("peername")
        document = self._lookup(peer[0], path) if peer else None
        if document is None:
            self._answer(HTTPStatus.NOT_FOUND, keep=keep, head=method == b"HEAD")
        else:
            self._answer(HTTPStatus.OK, document, keep=keep, head=method == b"HEAD")

    def _answer(self, status: HTTPStatus, body: bytes = b"", *, keep: bool, head: bool = False) -> None:
        body = body if status == HTTPStatus.OK else f"{status.value} {status.phrase}\n".encode()
        kind = "application/json" if body[:1] in (b"{", b"[") else "text/plain; charset=utf-8"
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            f"Connection: {'keep-alive' if keep else 'close'}",
        )
        self._transport.write("\r\n".join((*lines, "", "")).encode() + (b"" if head else body))
        if not keep:
            self._transport.close()

    def _restart_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(_PATIENCE, self._transport.abort)
