"""A cloud of a few real services for tests: real servers, real mutual TLS, people whose tokens are made up.

A service that is not under test is a small in-memory servicer of the real contract, served as a part beside
the real ones.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from google.protobuf.empty_pb2 import Empty
from msgspec import structs

from mesh import ids
from mesh.caller import Caller, Kind
from mesh.certificates import Authority, Identity
from mesh.channel import Client, connect
from mesh.server import Build, Part, Runtime, Service, part_of, running
from mesh.settings import PORTS, ServiceSection, Settings, Tracing
from mesh.tokens import unauthenticated
from tests import migrated
from weft.identity.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    limit_service_pb2,
    limit_service_pb2_grpc,
)
from weft.identity.v1.resources_pb2 import Limit

S = TypeVar("S")


class People:
    """A verifier whose tokens are the keys of a book."""

    def __init__(self) -> None:
        self._book: dict[str, Caller] = {}

    def register(self, caller: Caller) -> str:
        """A token for the caller."""
        token = ids.new()
        self._book[token] = caller
        return token

    async def verify(self, token: str) -> Caller:
        """The caller that the token was made for. Raises UNAUTHENTICATED."""
        if token not in self._book:
            raise unauthenticated()
        return self._book[token]

    async def standing(self, host: Caller) -> None:
        """Every host may."""


def person(project_id: str, *roles: str, scope: str = "project") -> Caller:
    """A user with these roles in a project (or, with another scope, beyond)."""
    user_id = ids.new()
    return Caller(
        kind=Kind.USER,
        user_id=user_id,
        user_name=f"user {user_id[:4]}",
        project_id=project_id if scope == "project" else "",
        scope=scope,
        roles=frozenset(roles),
        token_id=ids.new(),
        expires_at=1 << 40,
    )


class FakeLimits(limit_service_pb2_grpc.LimitServiceServicer):
    """Identity, as far as a service asks it for limits: none but those in `limits`."""

    def __init__(self) -> None:
        self.limits: dict[str, int] = {}
        self.pools: list[limit_service_pb2.LimitPool] = []

    async def ListLimits(
        self, request: limit_service_pb2.ListLimitsRequest, context: Any
    ) -> limit_service_pb2.ListLimitsResponse:
        limits = [Limit(service=request.service, resource=r, limit=n) for r, n in self.limits.items()]
        return limit_service_pb2.ListLimitsResponse(limits=limits, pools=self.pools)


class FakeAudit(audit_service_pb2_grpc.AuditServiceServicer):
    """Identity, as far as a service tells it what it decided: every event is taken."""

    async def RecordEvents(self, request: audit_service_pb2.RecordEventsRequest, context: Any) -> Empty:
        return Empty()


@dataclass
class House:
    """What runs, and who may be played."""

    settings: Settings
    authority: Authority
    people: People
    runtimes: dict[str, Runtime]
    limits: FakeLimits
    _stack: AsyncExitStack = field(repr=False, default_factory=AsyncExitStack)

    def user(self, service: str, caller: Caller) -> Client:
        """The service as this person reaches it: through the gateway, with a token."""
        return self._client(service, Identity.gateway(), self.people.register(caller))

    def service(self, service: str, name: str) -> Client:
        """The service as another service reaches it, on its own account."""
        return self._client(service, Identity.service(name))

    def node(self, service: str, host_id: str) -> Client:
        """The service as a host's agent reaches it."""
        return self._client(service, Identity.node(host_id))

    def _client(self, service: str, identity: Identity, token: str | None = None) -> Client:
        leaf = self.authority.issue(identity)
        ca_file = self.settings.state / "pki" / "ca.crt"
        name = Identity.service(service).dns
        client = connect(self.settings.address(service), ca_file, token, leaf=leaf, server_name=name)
        self._stack.push_async_callback(client.close)
        return client


@asynccontextmanager
async def house(
    settings: Settings,
    authority: Authority,
    builds: dict[str, Build],
    others: Iterable[Part] = (),
    run: str = "run",
) -> AsyncIterator[House]:
    """The services of `builds`, identity's limits and `others`, running within the block.

    Houses of one cloud have their sockets in directories `run` of their own.
    """
    settings = _quiet(settings, run)
    people, limits = People(), FakeLimits()
    told = [
        (limit_service_pb2_grpc.add_LimitServiceServicer_to_server, limits),
        (audit_service_pb2_grpc.add_AuditServiceServicer_to_server, FakeAudit()),
    ]
    identity = Part("identity", verified(people, lambda _: Service(told)))
    real = []
    for name, build in builds.items():
        migrated.lay(settings.for_service(name))
        part = part_of(name, build)
        part.build = verified(people, build)
        real.append(part)
    async with running(settings, [identity, *others, *real]) as runtimes, AsyncExitStack() as stack:
        yield House(settings, authority, people, runtimes, limits, stack)


def _quiet(settings: Settings, directory: str) -> Settings:
    """On unix sockets, which nobody else's test can take, and without traces, which nobody collects here."""
    run = settings.state / directory
    run.mkdir(parents=True, exist_ok=True)
    services = {name: ServiceSection(address=f"unix:{run}/{name}.sock") for name in PORTS}
    return structs.replace(settings, services=services, tracing=Tracing(enabled=False))


def verified(people: People, build: Callable[[Runtime], Any]) -> Build:
    """The same part, with tokens verified by `people`."""

    def build_verified(runtime: Runtime) -> Service:
        service = build(runtime)
        service.verifier = people
        return service

    return build_verified


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait for what another task or process brings about."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - nobody tells us when it does
            await asyncio.sleep(0.02)
