"""Calls between services of one process: the same bytes through the same interceptor, without a wire.

Services that run together need no TLS, no HTTP/2 and no socket to reach each other. All else stays as it is
between processes: the request is bytes, the caller is whom its own certificate names, and every check,
deadline, span and error is made by the handler that the wire would have brought the call to. Whether a peer
is here is asked at each call: one that stops, or never was here, is called over the wire.
"""

import asyncio
import contextvars
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import grpc
from cryptography import x509
from grpc import aio

from mesh.certificates import Leaf
from mesh.context import Aborted, Context, Metadata

_NONE = aio.Metadata()
_open: dict[str, "Door"] = {}


class Door:
    """One server as its process's other services reach it: handlers by path, and who it proves to be."""

    def __init__(self, leaf: Leaf, addresses: Iterable[str]) -> None:
        self._leaf, self._addresses = leaf, tuple(addresses)
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}
        self._calls: set[asyncio.Task[Any]] = set()

    def add(self, path: str, handler: grpc.RpcMethodHandler) -> None:
        """Let an RPC with one request and one answer be called."""
        if handler.unary_unary is not None:
            self._handlers[path] = handler

    def open(self) -> None:
        """From now on calls to the addresses come here."""
        _open.update(dict.fromkeys(self._addresses, self))

    async def close(self, patience: float) -> None:
        """Take no more calls; those under way have so many seconds."""
        for address in self._addresses:
            if _open.get(address) is self:
                del _open[address]
        if self._calls:
            await asyncio.wait(self._calls, timeout=patience)
        for task in self._calls:
            task.cancel()

    def handler(self, path: str, leaf: Leaf, server_name: str) -> grpc.RpcMethodHandler | None:
        """The handler of an RPC, for one who trusts our authority and wants to speak with us."""
        if leaf.ca_pem != self._leaf.ca_pem or server_name != self._leaf.identity.dns:
            return None
        return self._handlers.get(path)

    def begin(self, handler: grpc.RpcMethodHandler, raw: bytes, context: Context) -> asyncio.Task[Any]:
        """Work on a call in a task of its own, which knows nothing of the caller's."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(handler.unary_unary(raw, context), context=contextvars.Context())
        self._calls.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # whoever gave up waiting does not ask for it


@dataclass(frozen=True, slots=True)
class Way:
    """To a peer: where it is, what we show it, and who it must prove to be."""

    address: str
    leaf: Leaf
    server_name: str


class Call:
    """Calls of one RPC of a peer that is in this process. They fail as a callable of gRPC's does."""

    def __init__(self, path: str, way: Way, codec: dict[str, Any]) -> None:
        self._path, self._way = path, way
        self._serialize: Callable[[Any], bytes] = codec["request_serializer"]
        self._parse: Callable[[bytes], Any] = codec["response_deserializer"]

    def possible(self) -> bool:
        """Whether the peer is here, now."""
        return self._found() is not None

    def _found(self) -> tuple[Door, grpc.RpcMethodHandler] | None:
        door = _open.get(self._way.address)
        handler = door.handler(self._path, self._way.leaf, self._way.server_name) if door else None
        return (door, handler) if door and handler else None

    async def __call__(self, request: Any, timeout: float, metadata: Metadata) -> Any:
        """The answer. Raises AioRpcError."""
        found = self._found()
        if found is None:
            raise _unavailable()
        door, handler = found
        ends = asyncio.get_running_loop().time() + timeout
        context = Context(metadata, _names(self._way.leaf.pair().chain), ends)
        task = door.begin(handler, self._serialize(request), context)
        try:
            answer = await asyncio.shield(task)
        except Aborted as error:
            raise aio.AioRpcError(error.code, _NONE, error.trailers, error.details) from None
        except asyncio.CancelledError:
            if task.cancelled():
                raise _unavailable() from None
            task.cancel()
            raise
        return self._parse(handler.response_serializer(answer))


def or_else(far: Callable[[], Any], near: Call) -> Callable[[], Any]:
    """Answers what a call is to be made on: `near` where that is possible, else what `far` answers."""
    return lambda: near if near.possible() else far()


def _unavailable() -> aio.AioRpcError:
    return aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, _NONE, _NONE, "The service stops: ask again.")


@lru_cache(maxsize=64)
def _names(chain: bytes) -> tuple[bytes, ...]:
    """The URIs that a certificate names."""
    (certificate, *_) = x509.load_pem_x509_certificates(chain)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(uri.encode() for uri in names.get_values_for_type(x509.UniformResourceIdentifier))
