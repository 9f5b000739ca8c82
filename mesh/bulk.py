"""Bytes in bulk: RPCs whose content comes or goes as the plain body of an HTTP/1.1 request.

gRPC frames a content in messages, which costs both ends several times what the bytes themselves do. So an
RPC that carries one may be served here as well: on a port of its own, with the same mutual TLS, by the path
of its REST binding, through the same interceptor. Who calls, what they may, what is kept of it and how it
fails is what gRPC would have made of it; only the bytes go another way.
"""

import asyncio
import json
import logging
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import grpc
import h11
from google.protobuf import json_format
from google.protobuf.message import Message

from mesh import certificates, contract, errors
from mesh.certificates import Leaf, Pair
from mesh.context import Aborted, Context
from mesh.errors import CloudError
from mesh.exchange import Exchange
from mesh.interceptor import Interceptor
from mesh.process import PortInUse
from mesh.settings import beside

# Connections at one time, each with a thread; more wait to be accepted.
MOST = 500
_BACKLOG = 128
_AGAIN = 0.1  # seconds
_VARIABLE = re.compile(r"\{(\w+)\}")
_log = logging.getLogger(__name__)


class Call(Context):
    """A call with its bytes: `exchange` has what came, and takes what is to go."""

    def __init__(self, exchange: Exchange, request: h11.Request) -> None:
        said = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
        # Headers of gRPC's that are bytes come by gRPC alone: nobody acts for others here.
        super().__init__(
            [(n, v) for n, v in said if not n.endswith("-bin")], exchange.names, peer=exchange.peer
        )
        self.exchange = exchange
        self.method, self.target = request.method.decode(), request.target.decode("latin-1")
        self.headers = dict(said)


Behaviour = Callable[[Any, Call], Awaitable[Message]]


class Route:
    """One RPC by its path."""

    def __init__(self, interceptor: Interceptor, path: str, behaviour: Behaviour) -> None:
        method = contract.method(path)
        if method.http is None:
            raise ValueError(f"{path} has no REST binding: contents go by its path")
        verb = method.http.WhichOneof("pattern")
        self.methods = {"put": ("PUT",), "get": ("GET", "HEAD")}[verb]
        self.pattern = re.compile(_VARIABLE.sub(r"(?P<\1>[^/]+)", getattr(method.http, verb)))
        self._request_type = method.request_type
        self._handler: Any = interceptor.wrap(
            path,
            grpc.unary_unary_rpc_method_handler(
                behaviour, request_deserializer=method.request_type.FromString
            ),
        )

    async def answer(self, call: Call, fields: dict[str, str]) -> Message:
        """Raises Aborted."""
        try:
            request = json_format.ParseDict(fields, self._request_type())
        except json_format.ParseError as error:
            raise CloudError(
                "INVALID_ARGUMENT", f"The path and its query are no such request: {error}"
            ) from error
        return await self._handler.unary_unary(request.SerializeToString(), call)


class Port:
    """Where a service's contents come and go."""

    def __init__(self, leaf: Leaf, listen: Iterable[str], routes: Iterable[Route]) -> None:
        self._leaf, self._listen, self._routes = leaf, tuple(map(beside, listen)), tuple(routes)
        self._shown: tuple[Pair, ssl.SSLContext] | None = None
        self._room = asyncio.Semaphore(MOST)
        self._accepting: list[asyncio.Task[None]] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises PortInUse."""
        for address in self._listen:
            listener = _listener(address)
            self._accepting.append(asyncio.create_task(self._accept(listener), name=f"accept at {address}"))

    async def stop(self, patience: float) -> None:
        """Take no more calls; those under way have so many seconds."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for address in self._listen:
            if address.startswith("unix:"):
                await asyncio.to_thread(Path(address.removeprefix("unix:")).unlink, True)
        if self._calls:
            await asyncio.wait(self._calls, timeout=patience)
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                await self._room.acquire()
                try:
                    accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
                except OSError as error:  # too many files are open, say: that passes
                    _log.warning("no connection can be taken: %s", error)
                    self._room.release()
                    await asyncio.sleep(_AGAIN)
                    continue
                task = asyncio.create_task(self._serve(Exchange(accepted)))
                self._calls.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._room.release()
        if not task.cancelled() and (error := task.exception()):
            _log.error("a call ended by an error of its own", exc_info=error)

    async def _serve(self, exchange: Exchange) -> None:
        whole = False
        try:
            request = await exchange.begun(self._current())
            await self._answer(exchange, Call(exchange, request))
            whole = True
        except (OSError, h11.ProtocolError) as error:
            _log.debug("no request came: %s", error)
        except (Aborted, CloudError) as error:
            _log.debug("the answer was cut: %s", error)
        finally:
            await exchange.close(whole=whole)

    async def _answer(self, exchange: Exchange, call: Call) -> None:
        try:
            answer = await self._found(call)
        except (Aborted, CloudError) as error:
            if exchange.answered:
                raise
            await exchange.hear_out()
            await _say(exchange, *_problem(error))
        else:
            if not exchange.answered:
                await _say(exchange, 200, "application/json", _json(answer))

    async def _found(self, call: Call) -> Message:
        target = urlsplit(call.target)
        for route in self._routes:
            found = route.pattern.fullmatch(target.path)
            if found and call.method in route.methods:
                variables = {name: unquote(value) for name, value in found.groupdict().items()}
                return await route.answer(call, dict(parse_qsl(target.query)) | variables)
        raise CloudError("NOT_FOUND", "There is nothing at this path.", resource_type="path", id=target.path)

    def _current(self) -> ssl.SSLContext:
        """With the certificate of now."""
        pair = self._leaf.pair()
        if self._shown is None or self._shown[0] is not pair:
            self._shown = pair, certificates.server_context(self._leaf)
        return self._shown[1]


async def _say(exchange: Exchange, status: int, kind: str, body: bytes) -> None:
    await exchange.answer(status, [("Content-Type", kind), ("Content-Length", str(len(body)))], body)


def _problem(error: Aborted | CloudError) -> tuple[int, str, bytes]:
    """As the edge makes it of a failed RPC."""
    said = (
        errors.problem_header(error) if isinstance(error, CloudError) else str(error.trailers["weft-problem"])
    )
    return json.loads(said)["status"], "application/problem+json", said.encode()


def _json(answer: Message) -> bytes:
    """As the edge's transcoder writes it."""
    said = json_format.MessageToDict(
        answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(said).encode()


def _listener(address: str) -> socket.socket:
    listener = _bound(address)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _bound(address: str) -> socket.socket:
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        with suppress(FileNotFoundError):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        return listener
    host, _, port = address.rpartition(":")
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=_family(host), backlog=_BACKLOG)
    except OSError as error:
        raise PortInUse(f"cannot listen on {address}: it is in use, or not of this machine") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
