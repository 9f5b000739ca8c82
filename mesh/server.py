"""The life of a process: settings, log, certificates, databases, servers, flows, and an orderly end.

A service's `__main__` says `build(runtime) -> Service`, TABLES and MIGRATIONS; one process runs one service
or all of them, each with its own server, database and peers, on one event loop.
"""

import asyncio
import inspect
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.trace import Tracer
from sqlalchemy import MetaData

from mesh import logging as weft_logging
from mesh import paging, replay, tracing
from mesh.audit import Trail, to_identity
from mesh.bulk import Behaviour, Port, Route
from mesh.certificates import Authority, Identity, Leaf
from mesh.channel import Peers
from mesh.database import Database
from mesh.flow import Flow, FlowEngine
from mesh.interceptor import Interceptor
from mesh.news import News
from mesh.policy import Policy
from mesh.process import run, spare_the_collector
from mesh.reconcile import upkeep
from mesh.revocations import RemoteVerifier
from mesh.serving import Drain, Server
from mesh.settings import ServiceSettings, Settings
from mesh.together import all_of
from mesh.tokens import Verifier
from weft.options.v1.access_pb2 import Access

_log = logging.getLogger(__name__)
Background = Callable[[], Awaitable[None]]


@dataclass
class Service:
    """What `build` answers: `servicers` as pairs of the generated add function and the servicer.

    `background` runs from start to end of the process; `verifier` replaces the one that asks identity;
    `rules` gives access rules, by path, for RPCs of foreign contracts; `bulk` serves RPCs, by path, whose
    content comes or goes as plain bytes too (mesh/bulk.py); `closing` is called last.
    """

    servicers: list[tuple[Callable[[Any, Any], None], Any]]
    background: list[Background] = field(default_factory=list)
    verifier: Verifier | None = None
    rules: Mapping[str, Access] = field(default_factory=dict)
    bulk: Mapping[str, Behaviour] = field(default_factory=dict)
    closing: Background | None = None


@dataclass
class Runtime:
    """What the mesh hands to `build`. `database` is None for a part without tables, `authority` in a process
    whose certificates others made.
    """

    name: str
    settings: Settings
    service: ServiceSettings
    database: Database
    peers: Peers
    authority: Authority
    leaf: Leaf
    tracer: Tracer
    policy: Policy
    trail: Trail
    news: News
    flows: FlowEngine | None = None

    def use_flows(self, flows: Iterable[Flow], app: Any) -> FlowEngine:
        """The engine that runs these flows; the process starts and stops it. Steps find `app` as run.app."""
        self.flows = FlowEngine(self.database, list(flows), app, tracer=self.tracer)
        return self.flows


Build = Callable[[Runtime], Service | Awaitable[Service]]


@dataclass
class Part:
    """One service of a process. A part without `tables` has no database; `identity` is a service's by
    default. The authority of the state directory issues its certificate, unless it comes with a `leaf`.
    """

    name: str
    build: Build
    tables: MetaData | None = None
    migrations: Path | None = None
    identity: Identity | None = None
    service: ServiceSettings | None = None
    leaf: Leaf | None = None

    def certificate(self, authority: Authority) -> Leaf:
        """What it shows to others."""
        return self.leaf or authority.issue(self.identity or Identity.service(self.name))


def part_of(name: str, build: Build) -> Part:
    """The part that a service's `__main__` describes by `build`, TABLES and MIGRATIONS."""
    module = build.__globals__  # type: ignore[attr-defined]
    return Part(name, build, module["TABLES"], Path(module["MIGRATIONS"]))


@asynccontextmanager
async def running(settings: Settings, parts: Iterable[Part]) -> AsyncIterator[dict[str, Runtime]]:
    """All parts, started and healthy within the block, then drained and closed; their runtimes by name."""
    policy = Policy(Path(settings.cloud.policy) if settings.cloud.policy else None)
    parts = list(parts)
    authority: Any = None
    if not parts or any(part.leaf is None for part in parts):
        authority = Authority.open_or_create(settings.state / "pki", settings.cloud.name)
        paging.seal.use(settings.state / "pki" / "paging.key")
        replay.seal.use(settings.state / "pki" / "replay.key")
    async with AsyncExitStack() as stack:
        exporting = tracing.Exporting(settings, parts[0].certificate(authority))
        stack.push_async_callback(asyncio.to_thread, exporting.close)
        await stack.enter_async_context(_background("the policy", [policy.follow]))
        runtimes, drain = {}, Drain()
        for part in parts:
            runtimes[part.name] = await stack.enter_async_context(
                _started(settings, part, authority, exporting, policy, drain)
            )
        yield runtimes


@asynccontextmanager
async def _started(
    settings: Settings,
    part: Part,
    authority: Authority,
    exporting: tracing.Exporting,
    policy: Policy,
    drain: Drain,
) -> AsyncIterator[Runtime]:
    weft_logging.speak_for(part.name)
    async with AsyncExitStack() as stack:
        runtime = await _runtime(settings, part, authority, exporting, policy, drain, stack)
        service = part.build(runtime)
        if inspect.isawaitable(service):
            service = await service
        if service.closing is not None:
            stack.push_async_callback(service.closing)
        interceptor = _interceptor(runtime, service, stack)
        server = Server(interceptor, runtime.leaf, runtime.service.listen, drain)
        server.add(service.servicers, service.rules)
        await stack.enter_async_context(_background(part.name, _jobs(runtime, service)))
        if runtime.flows is not None:
            await runtime.flows.start()
            stack.push_async_callback(runtime.flows.stop)
        routes = [Route(interceptor, path, do) for path, do in service.bulk.items()]
        port = Port(runtime.leaf, runtime.service.listen if routes else (), routes)
        stack.push_async_callback(lambda: all_of([server.stop(), port.stop(drain.left())]))
        await port.start()
        await server.start()
        _log.info("%s listens on %s", part.name, ", ".join(runtime.service.listen))
        yield runtime


async def _runtime(
    settings: Settings,
    part: Part,
    authority: Authority,
    exporting: tracing.Exporting,
    policy: Policy,
    drain: Drain,
    stack: AsyncExitStack,
) -> Runtime:
    leaf = part.certificate(authority)
    service = part.service or settings.for_service(part.name)
    database: Any = None
    if part.tables is not None:
        database = await asyncio.to_thread(Database.open, service.database_url, part.tables, part.migrations)
        stack.push_async_callback(database.close)
    peers = Peers(settings, leaf)
    stack.push_async_callback(peers.close)
    tracer = exporting.tracer(part.name)
    trail = Trail(to_identity(peers), drain.last_words, settings.cloud.audit_reads)
    stack.push_async_callback(trail.close)
    return Runtime(
        part.name, settings, service, database, peers, authority, leaf, tracer, policy, trail, News()
    )


def _interceptor(runtime: Runtime, service: Service, stack: AsyncExitStack) -> Interceptor:
    verifier = service.verifier
    if verifier is None:
        verifier = remote = RemoteVerifier(runtime.peers, runtime.news)
        stack.push_async_callback(remote.close)
    cloud = runtime.settings.cloud.name
    return Interceptor(runtime.name, cloud, verifier, runtime.tracer, runtime.policy, runtime.trail)


def _jobs(runtime: Runtime, service: Service) -> list[Background]:
    housekeeping = [upkeep(runtime.database).run] if runtime.database is not None else []
    return [*service.background, *housekeeping, runtime.trail.run]


@asynccontextmanager
async def _background(name: str, jobs: list[Background]) -> AsyncIterator[None]:
    """The jobs run beside the block. One that ends by an error is a defect: it is logged, and begun again."""

    async def keep(job: Background) -> None:
        while True:
            try:
                return await job()
            except Exception:  # noqa: BLE001 - logged, and the job is begun again
                _log.exception("a background job of %s failed", name)
                await asyncio.sleep(1)

    tasks = [asyncio.create_task(keep(job), name=f"{name} {job}") for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def serve_parts(settings: Settings, parts: Iterable[Part]) -> None:
    """Run these parts until the process is told to stop (SIGTERM, SIGINT)."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings, parts):
        spare_the_collector()
        await stop.wait()
        _log.info("told to stop: draining")


async def serve(settings: Settings, name: str, build: Build) -> None:
    """Run one service until the process is told to stop."""
    await serve_parts(settings, [part_of(name, build)])


async def serve_many(settings: Settings, builds: Mapping[str, Build]) -> None:
    """Run several services in this process until it is told to stop."""
    await serve_parts(settings, [part_of(name, build) for name, build in builds.items()])


def main(name: str, build: Build, tables: MetaData, migrations: Path | None = None) -> None:
    """What `python -m services.<name>` does."""
    migrations = migrations or Path(build.__globals__["MIGRATIONS"])  # type: ignore[attr-defined]
    run(lambda loaded: serve_parts(loaded, [Part(name, build, tables, migrations)]))
