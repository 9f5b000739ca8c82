"""Just enough of an HTTP server: small documents that are there, and questions that take a while to answer.

A connection ends with the answer to a question, so that nothing overtakes it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import httptools

_PATIENCE = 20.0  # seconds that a connection may be idle or a request incomplete
_LARGEST = 16_384  # octets of a request
Lookup = Callable[[str, str], bytes | None]
"""From the client's address and a path to a document; None: there is none."""
Answer = tuple[HTTPStatus, bytes]
Ask = Callable[[str, str, str, bytes], Awaitable[Answer] | None]
"""From the client's address, a path, the method and the body to what will be answered; None: no question."""


def no_questions(client: str, path: str, method: str, body: bytes) -> None:
    """An Ask where there are documents alone."""


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, lookup: Lookup, ask: Ask = no_questions) -> None:
        self._lookup, self._ask = lookup, ask
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._path, self._body, self._received = b"", b"", 0
        self._asked: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Part of asyncio.Protocol."""
        self._transport = transport
        self._restart_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        if self._timer:
            self._timer.cancel()
        if self._asked:
            self._asked.cancel()

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        if self._asked:
            return
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

    def on_body(self, body: bytes) -> None:
        """Part of httptools' protocol: called with pieces of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Part of httptools' protocol: a request is there in full."""
        if self._asked:
            return
        target, body, self._path, self._body, self._received = self._path, self._body, b"", b"", 0
        self._restart_timer()
        self._respond(target, self._parser.get_method(), body, self._parser.should_keep_alive())

    def _respond(self, target: bytes, method: bytes, body: bytes, keep: bool) -> None:
        path = (httptools.parse_url(target).path or b"/").decode("utf-8", "replace")
        peer = self._transport.get_extra_info("peername")
        asked = self._ask(peer[0], path, method.decode("ascii"), body) if peer else None
        if asked is not None:
            self._asked = self._loop.create_task(self._answer_later(asked))
            return
        document = self._lookup(peer[0], path) if peer and method in (b"GET", b"HEAD") else None
        if document is None:
            self._answer(HTTPStatus.NOT_FOUND, keep=keep, head=method == b"HEAD")
        else:
            self._answer(HTTPStatus.OK, document, keep=keep, head=method == b"HEAD")

    async def _answer_later(self, asked: Awaitable[Answer]) -> None:
        status, body = await asked
        self._answer(status, body, keep=False)

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
