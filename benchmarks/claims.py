"""Claims of room on hosts, as boots make them, asked of placement as a process of its own.

Each claims what a small server needs of the first of 32 candidates that still has room; what many want at
once goes into one transaction each, decided by the rows themselves.
"""

import random
from collections.abc import Sequence

from benchmarks import measure, processes
from benchmarks.alone import service
from benchmarks.figures import Goal
from benchmarks.suite import Bench
from mesh import ids
from mesh.certificates import Identity
from mesh.channel import Client
from weft.placement.v1 import resources_pb2 as pb
from weft.placement.v1.allocation_service_pb2 import ClaimAllocationsRequest
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub
from weft.placement.v1.candidate_service_pb2 import ListCandidatesRequest, ListCandidatesResponse
from weft.placement.v1.candidate_service_pb2_grpc import CandidateServiceStub
from weft.placement.v1.provider_service_pb2 import SyncProviderRequest
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub

_HOSTS, _WAYS, _AT_ONCE = 100, 32, 16
_HAS = {"VCPU": 6400, "MEMORY_MB": 6_400_000, "DISK_GB": 64_000}
_WANTED = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}


async def run(bench: Bench) -> None:
    """Claims of consumers that have nothing yet, one at a time, many at once, then with their search."""
    async with service("placement", Identity.service("compute"), _candidates) as (client, pid):
        providers = client.stub(ProviderServiceStub)
        held = [pb.Inventory(resource_class=name, total=total) for name, total in _HAS.items()]
        for number in range(_HOSTS):
            await providers.SyncProvider(
                SyncProviderRequest(id=ids.new(), name=f"host-{number}", inventories=held)
            )
        found = (await _candidates(client)).candidates

        async def only_claim() -> None:
            await claim(client, random.sample(found, len(found)))

        async def find_and_claim() -> None:
            await claim(client, (await _candidates(client)).candidates)

        await _measured(bench, only_claim, find_and_claim, pid)


async def claim(client: Client, ways: Sequence[pb.Candidate]) -> str:
    """As compute says it: the best way in full, and of the others, which ask the same, the hosts. The
    consumer's id.
    """
    best, *others = ways
    consumer = pb.Consumer(
        id=ids.new(), consumer_type="server", project_id=ids.new(), user_id=ids.new(), operation_id=ids.new()
    )
    request = ClaimAllocationsRequest(
        consumer=consumer, candidates=[best], alternative_provider_ids=[each.root_id for each in others]
    )
    await client.stub(AllocationServiceStub).ClaimAllocations(request)
    return consumer.id


async def _measured(bench: Bench, only_claim: measure.Work, find_and_claim: measure.Work, pid: int) -> None:
    times, rounds = bench.of(200, 2000), bench.of(3, 5)
    with processes.spending({"placement": pid}) as spent:
        samples = await measure.one_by_one(only_claim, times, 20)
    bench.tell("a claim, one at a time", "ms", samples, None, spent.each(times + 20))
    both = f"claims with the search for {_WAYS} ways each, {_AT_ONCE} at once"
    for name, work, goal in (
        (f"claims, {_AT_ONCE} at once", only_claim, Goal(1000, at_least=True)),
        (both, find_and_claim, None),
    ):
        with processes.spending({"placement": pid}) as spent:
            rates = [await measure.at_once(work, 2 * times, _AT_ONCE) for _ in range(rounds)]
        bench.tell(name, "/s", rates, goal, spent.each(2 * rounds * times))


async def _candidates(client: Client) -> ListCandidatesResponse:
    request = ListCandidatesRequest(groups=[pb.RequestGroup(resources=_WANTED)], limit=_WAYS)
    return await client.stub(CandidateServiceStub).ListCandidates(request)
