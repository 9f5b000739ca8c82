"""Calls to other processes: mutual TLS, deadlines, safe retries, the trace and the caller passed on.

A stub made by `Peers.stub` is the generated one over a `Channel` that adds all this; its calls raise
CloudError. Retries: UNAVAILABLE, and only for an RPC whose contract says idempotent or a request that carries
a request_id. The second depends on each message, which gRPC's service config cannot say, so the loop is here.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from mesh import caller, certificates, contract, deadline, direct, tracing
from mesh.caller import Kind
from mesh.certificates import Identity, Leaf, Pair, Shown
from mesh.errors import CloudError, from_rpc_error, is_unavailable
from mesh.settings import Settings

S = TypeVar("S")
Options = tuple[tuple[str, str | int], ...]
Metadata = tuple[tuple[str, str | bytes], ...]
ATTEMPTS = 4
# Where nobody listens: a host agent that is restarted answers again within seconds, and nobody else can take
# its place meanwhile.
NODE_ATTEMPTS = 16
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
# A connection to a host that nothing was asked of for so long is closed: there may be more hosts than a
# process may have connections, and the next call makes it anew in some milliseconds.
_NODE_IDLE: Options = (("grpc.client_idle_timeout_ms", 120_000),)
# Calls in flight on a channel that was replaced by one with a newer certificate may go on this long
# (seconds).
_OLD_CHANNEL = 3600
_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Despite its name this is how long a connection may take to be made, its handshake with it: on a busy
    # machine a short limit breaks handshakes that only wait for a processor.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.http2.max_frame_size", 1 << 20),  # a piece of a content in one, and not in 64
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    ("grpc.use_local_subchannel_pool", 1),
)
# Thousands of hosts watch a service that mostly has nothing to tell: what they cost it then is pings. One
# that is gone without a word, as behind a cut cable, is noticed 70 s later at the latest.
_FROM_A_NODE: Options = (("grpc.keepalive_time_ms", 60_000),)


class Link:
    """A connection to one peer that is replaced when our certificate is."""

    def __init__(
        self, address: str, ca_pem: bytes, leaf: Shown | None, server_name: str | None, more: Options = ()
    ) -> None:
        self._target, self._ca_pem, self._leaf = target(address), ca_pem, leaf
        name = (("grpc.ssl_target_name_override", server_name),) if server_name else ()
        self._options = tuple((dict(_OPTIONS) | dict(more) | dict(name)).items())
        self._pair: Pair | None = None
        self._channel: aio.Channel | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def channel(self) -> aio.Channel:
        """The channel to call on."""
        pair = self._leaf.pair() if self._leaf else None
        if self._channel is None or pair is not self._pair:
            self._retire()
            credentials = certificates.channel_credentials(self._ca_pem, pair)
            self._channel = aio.secure_channel(self._target, credentials, options=self._options)
            self._pair = pair
        return self._channel

    def _retire(self) -> None:
        if self._channel is not None:
            task = asyncio.get_running_loop().create_task(self._channel.close(_OLD_CHANNEL))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End every call and connection."""
        for task in self._closing:
            task.cancel()
        if self._channel is not None:
            await self._channel.close()
            self._channel = None


class Channel:
    """What a generated stub is made on: makes callables that add what every call needs."""

    def __init__(
        self,
        link: Link,
        metadata: Callable[[], Metadata],
        attempts: int = ATTEMPTS,
        way: direct.Way | None = None,
        *,
        among_services: bool = False,
    ) -> None:
        self._link, self._metadata, self._attempts, self._way = link, metadata, attempts, way
        self._among_services = among_services

    def unary_unary(self, path: str, **codec: Any) -> Any:
        """A call with one request and one answer; a peer in this process is called directly."""
        made = self._maker("unary_unary", path, codec)
        if self._way is not None:
            made = direct.or_else(made, direct.Call(path, self._way, codec))

        async def call(request: Message, *, timeout: float | None = None, metadata: Metadata = ()) -> Any:
            ends = asyncio.get_running_loop().time() + _limit(timeout)
            attempt = 1
            while True:
                left = ends - asyncio.get_running_loop().time()
                try:
                    return await made()(request, timeout=left, metadata=self._metadata() + metadata)
                except grpc.RpcError as error:
                    wait = _wait(attempt)
                    older = self._among_services and _is_of_an_older_version(error)
                    again = older or (is_unavailable(error) and _repeatable(path, request))
                    most = ATTEMPTS if _is_typed(error) else self._attempts
                    if not again or attempt >= most or wait >= left:
                        raise (_older(path) if older else from_rpc_error(error)) from error
                attempt += 1
                await asyncio.sleep(wait)

        return call

    def stream_unary(self, path: str, **codec: Any) -> Any:
        """A call with a stream of requests and one answer. Never repeated; no deadline but the caller's."""
        made = self._maker("stream_unary", path, codec)

        async def call(requests: Any, *, timeout: float | None = None, metadata: Metadata = ()) -> Any:
            try:
                return await made()(requests, timeout=timeout, metadata=self._metadata() + metadata)
            except grpc.RpcError as error:
                raise from_rpc_error(error) from error

        return call

    def unary_stream(self, path: str, **codec: Any) -> Any:
        """A call with a stream of answers, as an async iterator; no deadline but the caller's."""
        return self._streaming("unary_stream", path, codec)

    def stream_stream(self, path: str, **codec: Any) -> Any:
        """A call with a stream both ways, as an async iterator; no deadline but the caller's."""
        return self._streaming("stream_stream", path, codec)

    def _streaming(self, shape: str, path: str, codec: dict[str, Any]) -> Any:
        made = self._maker(shape, path, codec)

        async def call(
            request: Any, *, timeout: float | None = None, metadata: Metadata = ()
        ) -> AsyncIterator[Any]:
            answers = made()(request, timeout=timeout, metadata=self._metadata() + metadata)
            try:
                async for answer in answers:
                    yield answer
            except grpc.RpcError as error:
                raise from_rpc_error(error) from error
            finally:
                answers.cancel()

        return call

    def _maker(self, shape: str, path: str, codec: dict[str, Any]) -> Callable[[], Any]:
        """Answers the callable of the current channel, made anew only when the channel is."""
        on: aio.Channel | None = None
        made: Any = None

        def current() -> Any:
            nonlocal on, made
            channel = self._link.channel()
            if channel is not on:
                on, made = channel, getattr(channel, shape)(path, **codec)
            return made

        return current


class Peers:
    """The other processes of the cloud, as this one calls them."""

    def __init__(self, settings: Settings, leaf: Leaf) -> None:
        self._settings, self._leaf = settings, leaf
        self._service = leaf.identity.path.removeprefix("service/")
        self._own = _FROM_A_NODE if leaf.identity.path.startswith("node/") else ()
        self._links: dict[tuple[str, str], Link] = {}
        self._stubs: dict[tuple[type, str, str], Any] = {}

    def stub(self, stub_class: type[S], service: str) -> S:
        """A stub of a service, dialled where the settings say. Cheap: one stub per class and service."""
        return self._stub(stub_class, self._settings.address(service), Identity.service(service).dns)

    def node_stub(self, stub_class: type[S], host_id: str, address: str) -> S:
        """A stub of the agent on a host, which must prove to be that host's."""
        return self._stub(stub_class, address, Identity.node(host_id).dns, NODE_ATTEMPTS, _NODE_IDLE)

    async def close(self) -> None:
        """End every call and connection."""
        links, self._links = list(self._links.values()), {}
        self._stubs.clear()
        for link in links:
            await link.close()

    def _stub(
        self,
        stub_class: type[S],
        address: str,
        server_name: str,
        attempts: int = ATTEMPTS,
        more: Options = (),
    ) -> S:
        key = (stub_class, address, server_name)
        if key not in self._stubs:
            link = self._links.get(key[1:])
            if link is None:
                link = Link(address, self._leaf.ca_pem, self._leaf, server_name, self._own + more)
                self._links[key[1:]] = link
            way = direct.Way(address, self._leaf, server_name)
            channel = Channel(link, self._metadata, attempts, way, among_services=True)
            self._stubs[key] = stub_class(channel)  # type: ignore[call-arg]
        return self._stubs[key]

    def _metadata(self) -> Metadata:
        """The trace, and the one for whom the call is made."""
        items: list[tuple[str, str | bytes]] = list(tracing.carrier().items())
        acting = caller.current()
        if acting.kind in (Kind.USER, Kind.SERVICE) and not acting.for_nobody:
            items.append((caller.METADATA_KEY, caller.encode(acting.through(self._service))))
        return tuple(items)


class Client:
    """A plain client: one address, a CA file, perhaps a token. For the command line, tools and tests."""

    def __init__(self, link: Link, token: str | None) -> None:
        self._link = link
        self.token = token
        self._channel = Channel(link, self._metadata)

    def stub(self, stub_class: type[S]) -> S:
        """A stub whose calls raise CloudError."""
        return stub_class(self._channel)  # type: ignore[call-arg]

    def _metadata(self) -> Metadata:
        items: list[tuple[str, str | bytes]] = list(tracing.carrier().items())
        if self.token:
            items.append(("authorization", f"Bearer {self.token}"))
        return tuple(items)

    async def close(self) -> None:
        """End every call and the connection."""
        await self._link.close()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def connect(
    address: str,
    ca_file: Path,
    token: str | None = None,
    *,
    leaf: Shown | None = None,
    server_name: str | None = None,
) -> Client:
    """A client of the gateway, which may show a `leaf`; with one and the service's `server_name`, of a
    service itself.

    The token may be changed later (`client.token = ...`).
    """
    return Client(Link(address, ca_file.read_bytes(), leaf, server_name), token)


def target(address: str) -> str:
    """What gRPC dials for an address of the settings: several `ip:port`, with commas, share the calls."""
    if "," in address:
        return "ipv4:" + address
    return address


def _limit(timeout: float | None) -> float:
    return deadline.remaining(deadline.DEFAULT if timeout is None else timeout)


def _wait(attempt: int) -> float:
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.0)


def _is_typed(error: grpc.RpcError) -> bool:
    """Whether the peer itself said it, not the lack of one."""
    return any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ())


def _is_of_an_older_version(error: grpc.RpcError) -> bool:
    """Whether the peer does not know the method: while a cloud is upgraded another replica may."""
    return error.code() is grpc.StatusCode.UNIMPLEMENTED and not _is_typed(error)


def _older(path: str) -> CloudError:
    service = contract.method(path).service
    message = f"{service} is of an older version there, and does not know {path}: upgrade it too."
    return CloudError("UNAVAILABLE", message, service=service)


def _repeatable(path: str, request: Message) -> bool:
    try:
        found = contract.method(path)
    except contract.UnknownMethod:
        return False
    return found.idempotent or (found.has_request_id and bool(request.request_id))  # type: ignore[attr-defined]
