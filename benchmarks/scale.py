"""A cloud of a thousand hosts and ten thousand servers; in a full run of ten thousand and a hundred thousand.

The hosts are **simulated**: each has a certificate, connections, a server and an agent of its own and keeps
the contract, with no kernel and no pool of volumes below it; control does for each what it does for a real
one. The servers that are there beforehand are **seeded**: rows in the services' databases (seeds.py), and
guests that their hosts tell of. What is measured is booted, claimed and listed on top of them. The services
are processes of their own on SQLite, as they are for the few hosts that everything is held against. Sixteen
tenants boot, each in a project and on a network of its own.
"""

import asyncio
import itertools
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from benchmarks import bare, claims, fleet, measure, processes, seeds
from benchmarks.bare import BareCloud
from benchmarks.figures import Goal
from benchmarks.people import Person, person
from benchmarks.suite import Bench
from cli.cloud import health
from mesh.certificates import Authority, Identity
from mesh.channel import connect
from mesh.settings import PORTS
from weft.compute.v1.server_service_pb2 import ListServersRequest
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.placement.v1 import resources_pb2 as pb
from weft.placement.v1.allocation_service_pb2 import DeleteAllocationsRequest
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub
from weft.placement.v1.candidate_service_pb2 import ListCandidatesRequest
from weft.placement.v1.candidate_service_pb2_grpc import CandidateServiceStub

_FEW, _GUESTS, _AT_ONCE = 10, 10, 16
_WANTED = {"VCPU": 1, "MEMORY_MB": 128, "DISK_GB": 1}
_PAGE = 100
# Compute hears so many hosts a second (services/compute/pace.py). Those that came while there were few go on
# telling of themselves each five seconds until they are answered once more: only then are they at rest.
_HEARD_A_SECOND = 100


async def run(bench: Bench) -> None:
    """Few hosts first; then so many more that there are all."""
    hosts = bench.of(1000, 10_000)
    async with (
        bare.running(*PORTS) as cloud,
        fleet.playing(cloud, _FEW),
        AsyncExitStack() as stack,
    ):
        people = [await stack.enter_async_context(person(cloud)) for _ in range(_AT_ONCE)]
        boots = Boots([await Tenant.prepared(somebody) for somebody in people])
        kept = await boots.boot()
        few = await _booted(bench, cloud, boots, f"{_FEW} hosts")
        more = range(_FEW, hosts)
        await asyncio.to_thread(seeds.seed, cloud.layout.state, kept, more, _GUESTS)
        async with fleet.playing(cloud, len(more), first=more.start, guests=_GUESTS):
            await asyncio.sleep(hosts / _HEARD_A_SECOND)
            where = f"{hosts:,} hosts, {len(more) * _GUESTS:,} servers"
            many = await _booted(bench, cloud, boots, where)
            _beside(bench, few, many, hosts)
            await _claims(bench, cloud, where)
            await _pages(bench, cloud, where)


@dataclass(frozen=True)
class Tenant:
    """Somebody with a project, a network and an image."""

    somebody: Person
    flavor: str
    image: str
    network: str

    @classmethod
    async def prepared(cls, somebody: Person) -> "Tenant":
        """One who has no server yet."""
        image = await somebody.image(bytes(1 << 20), "DISK_FORMAT_RAW")
        return cls(somebody, await somebody.flavor(), image, await somebody.network("10.20.0.0/16"))


class Boots:
    """Boots and deletions of servers by tenants in turn."""

    def __init__(self, tenants: list[Tenant]) -> None:
        self._turns = itertools.cycle(tenants)
        self._made: list[tuple[Tenant, str]] = []

    async def boot(self) -> str:
        """Until its operation's stream says so; the server's id."""
        tenant = next(self._turns)
        server = await tenant.somebody.create_server(tenant.flavor, tenant.image, tenant.network)
        await tenant.somebody.ended(server.operation_id)
        self._made.append((tenant, server.id))
        return server.id

    async def delete(self) -> None:
        """The last one that was made."""
        tenant, id = self._made.pop()
        await tenant.somebody.delete_server(id)


async def _rests(bench: Bench, cloud: BareCloud, where: str) -> float:
    """What the services spend while nobody asks for anything, in milliseconds a second."""
    seconds = bench.of(20, 60)
    with cloud.spending() as spent:
        await asyncio.sleep(seconds)
    busy = spent.each(1).services_ms / seconds / 10
    bench.tell(f"all services while nothing is asked, {where}", "% of a core", [busy])
    bench.tell(f"memory of all services, {where}", "MB PSS", [sum(spent.pss_mb.values())])
    return busy * 10


async def _booted(bench: Bench, cloud: BareCloud, boots: Boots, where: str) -> tuple[list[float], float]:
    """Boots a second of each round, and the services' processor time of a boot and its deletion, in
    milliseconds, without what they spend at rest.
    """
    rest = await _rests(bench, cloud, where)
    times, rounds, rates = bench.of(64, 240), bench.of(3, 5), list[float]()
    await measure.at_once(boots.boot, _AT_ONCE, _AT_ONCE)
    await measure.at_once(boots.delete, _AT_ONCE, _AT_ONCE)
    begun = time.perf_counter()
    with cloud.spending() as spent:
        for _ in range(rounds):
            rates.append(await measure.at_once(boots.boot, times, _AT_ONCE))
            await measure.at_once(boots.delete, times, _AT_ONCE)
    each, seconds = spent.each(rounds * times), time.perf_counter() - begun
    note = "the processors' time is of a boot and its deletion, and of what hosts say meanwhile"
    bench.tell(f"boots, {_AT_ONCE} at once, {where}", "/s", rates, None, each, note=note)
    return rates, each.services_ms - rest * seconds / (rounds * times)


def _beside(
    bench: Bench, few: tuple[list[float], float], many: tuple[list[float], float], hosts: int
) -> None:
    usual, goal = sorted(few[0])[len(few[0]) // 2], Goal(0.7, at_least=True)
    name = f"boots a second with {hosts:,} hosts beside those with {_FEW}"
    bench.tell(name, "x", [rate / usual for rate in many[0]], goal)
    # On a machine that others use too this is the better one: what is slow there counts the more heartbeats.
    bench.tell(f"{name}, by processor time without what is spent at rest", "x", [few[1] / many[1]], goal)


async def _claims(bench: Bench, cloud: BareCloud, where: str) -> None:
    """As compute makes them: 32 candidates asked for, the first that has room claimed."""
    layout, held = cloud.layout, list[str]()
    authority = Authority.open_or_create(layout.state / "pki", layout.settings.cloud.name)
    leaf, peer = authority.issue(Identity.service("compute")), Identity.service("placement").dns
    async with connect(layout.socket("placement"), layout.ca, leaf=leaf, server_name=peer) as client:
        finding = client.stub(CandidateServiceStub)
        ask = ListCandidatesRequest(groups=[pb.RequestGroup(resources=_WANTED)], limit=32)
        samples: list[float] = []

        async def find_and_claim() -> None:
            found = list((await finding.ListCandidates(ask)).candidates)
            random.shuffle(found)
            begun = time.perf_counter()
            held.append(await claims.claim(client, found))
            samples.append((time.perf_counter() - begun) * 1e3)

        times = bench.of(320, 2000)
        with processes.spending({"placement": cloud.pids()["placement"]}) as spent:
            await measure.at_once(find_and_claim, times, _AT_ONCE)
        goal = Goal(50, share=0.99)
        name = f"a claim, {_AT_ONCE} at once, {where}"
        bench.tell(
            name, "ms", samples, goal, spent.each(times), note="the processors' time: its search as well"
        )
        allocations = client.stub(AllocationServiceStub)
        for id in held:
            await allocations.DeleteAllocations(DeleteAllocationsRequest(consumer_id=id))


async def _pages(bench: Bench, cloud: BareCloud, where: str) -> None:
    """Pages of a hundred servers of all projects, one after the other, through the gateway."""
    async with await health.administrator(cloud.layout) as admin:
        stub, token = admin.stub(ServerServiceStub), ""

        async def page() -> None:
            nonlocal token
            answer = await stub.ListServers(ListServersRequest(page_size=_PAGE, page_token=token))
            if len(answer.servers) != _PAGE and answer.next_page_token:
                raise ConnectionError(f"a page of {len(answer.servers)} servers came")
            token = answer.next_page_token

        times = bench.of(50, 500)
        with cloud.spending() as spent:
            samples = await measure.one_by_one(page, times, 5)
        name = f"a page of {_PAGE} servers, {where}"
        bench.tell(name, "ms", samples, Goal(100, share=0.99), spent.each(times + 5))
