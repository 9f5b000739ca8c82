"""A gRPC server of the mesh: every handler behind the interceptor, health, reflection, graceful drain."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mesh import certificates, contract, direct
from mesh.certificates import Leaf
from mesh.interceptor import Interceptor
from mesh.process import PortInUse
from weft.options.v1.access_pb2 import Access

# Seconds that calls in flight get when the process is told to stop.
DRAIN = 10.0
# And what its services have yet to tell others, as for the audit trail.
LAST_WORDS = 3.0
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port in use must be an error, not a lottery
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.http2.max_frame_size", 1 << 20),  # a piece of a content in one, and not in 64
    # Between the two limits gRPC refuses by chance: as one, what is refused for its size always is.
    ("grpc.max_metadata_size", 32 << 10),
    ("grpc.absolute_max_metadata_size", 32 << 10),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
_log = logging.getLogger(__name__)


class Drain:
    """The time that a process which was told to end gives to calls in flight, at whichever of its services
    they are: DRAIN seconds in all, from the first who asks. So it is with the last words of its services.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: dict[float, float] = {}

    def left(self) -> float:
        """Seconds for calls in flight."""
        return self._of(DRAIN)

    def last_words(self) -> float:
        """Seconds for what is to be said to others at the end."""
        return self._of(LAST_WORDS)

    def _of(self, seconds: float) -> float:
        now = self._clock()
        return max(0.0, self._ends.setdefault(seconds, now + seconds) - now)


class Handlers:
    """Takes what the generated `add_..._to_server` functions register, as if it were a server."""

    def __init__(self) -> None:
        self.by_service: dict[str, dict[str, grpc.RpcMethodHandler]] = {}

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Keep the handlers of each service, asked for by the names that its contract lists."""
        for handler in handlers:
            service = handler.service_name()  # type: ignore[attr-defined]
            self.by_service[service] = {
                method.name: handler.service(SimpleNamespace(method=method.path, invocation_metadata=()))
                for method in contract.methods(service)
            }

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """The same handlers once more: stubs made by older generators do not offer them so."""


class Server:
    """One service's listening end."""

    def __init__(
        self, interceptor: Interceptor, leaf: Leaf, listen: Iterable[str], drain: Drain | None = None
    ) -> None:
        self._interceptor, self._leaf, self._drain = interceptor, leaf, drain or Drain()
        self._listen = tuple(listen)
        self._server = aio.server(options=_OPTIONS)
        self._door = direct.Door(leaf, self._listen)
        self._health = health.aio.HealthServicer()
        self._names: list[str] = []

    def add(
        self,
        servicers: Iterable[tuple[Callable[[Any, Any], None], Any]],
        rules: Mapping[str, Access] | None = None,
    ) -> None:
        """Serve these; `rules` gives access rules, by path, for RPCs of foreign contracts.

        Raises access.RuleMissing when an RPC has none.
        """
        given = rules or {}
        handlers = Handlers()
        for add_to_server, servicer in servicers:
            add_to_server(servicer, handlers)
        for service, methods in handlers.by_service.items():
            wrapped = {
                name: self._interceptor.wrap(f"/{service}/{name}", handler, given.get(f"/{service}/{name}"))
                for name, handler in methods.items()
            }
            for name, handler in wrapped.items():
                self._door.add(f"/{service}/{name}", handler)
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, wrapped),))
            self._names.append(service)

    async def start(self) -> None:
        """Listen, and say that we are well. Raises PortInUse."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            [*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        for address in self._listen:
            if address.startswith("unix:"):
                Path(address.removeprefix("unix:")).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            credentials = certificates.server_credentials(self._leaf)  # each port asks its own fetcher
            try:
                self._server.add_secure_port(address, credentials)
            except RuntimeError as error:
                raise PortInUse(
                    f"cannot listen on {address}: it is in use, or not of this machine"
                ) from error
        await self._server.start()
        self._door.open()
        await self._say(health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Take no new calls; let those in flight end, as long as the process has time for them."""
        await self._health.enter_graceful_shutdown()
        self._interceptor.end_watches()
        left = self._drain.left()
        await asyncio.gather(self._door.close(left), self._server.stop(left))
        for address in self._listen:
            if address.startswith("unix:"):
                await asyncio.to_thread(Path(address.removeprefix("unix:")).unlink, True)

    async def _say(self, status: Any) -> None:
        for name in ("", *self._names):
            await self._health.set(name, status)
