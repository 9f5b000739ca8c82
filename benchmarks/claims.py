"""Claims of room on hosts, as boots make them, asked of placement as a process of its own.

Each claims what a small server needs of the first of 32 candidates that still has room; what many want at
once goes into one transaction each, decided by the rows themselves.
"""

import random

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
from weft.placement.v1.candidate_service_pb2 import ListCandidatesRequest
from weft.placement.v1.candidate_service_pb2_grpc import CandidateServiceStub
from weft.placement.v1.provider_service_pb2 import SyncProviderRequest
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub

_HOSTS, _AT_ONCE = 100, 16
_HAS = {"VCPU": 6400, "MEMORY_MB": 6_400_000, "DISK_GB": 64_000}
_WANTED = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}


async def run(bench: Bench) -> None:
    """Claims of consumers that have nothing yet, one at a time and many at once."""
    async with service("placement", Identity.service("compute"), _candidates) as (client, pid):
        providers, claims = client.stub(ProviderServiceStub), client.stub(AllocationServiceStub)
        held = [pb.Inventory(resource_class=name, total=total) for name, total in _HAS.items()]
        for number in range(_HOSTS):
            await providers.SyncProvider(
                SyncProviderRequest(id=ids.new(), name=f"host-{number}", inventories=held)
            )
        candidates = list((await _candidates(client)).candidates)

        async def claim() -> None:
            consumer = pb.Consumer(
                id=ids.new(), consumer_type="server", project_id=ids.new(), user_id=ids.new(),
                operation_id=ids.new(),
            )  # fmt: skip
            first, *others = random.sample(candidates, len(candidates))
            request = ClaimAllocationsRequest(
                consumer=consumer, candidates=[first], alternative_provider_ids=[o.root_id for o in others]
            )
            await claims.ClaimAllocations(request)

        await _measured(bench, claim, pid)


async def _measured(bench: Bench, claim: measure.Work, pid: int) -> None:
    times, rounds = bench.of(200, 2000), bench.of(3, 5)
    with processes.spending({"placement": pid}) as spent:
        samples = await measure.one_by_one(claim, times, 20)
    bench.tell("a claim, one at a time", "ms", samples, None, spent.each(times + 20))
    with processes.spending({"placement": pid}) as spent:
        rates = [await measure.at_once(claim, 2 * times, _AT_ONCE) for _ in range(rounds)]
    goal = Goal(1000, at_least=True)
    bench.tell(f"claims, {_AT_ONCE} at once", "/s", rates, goal, spent.each(2 * rounds * times))


async def _candidates(client: Client) -> object:
    request = ListCandidatesRequest(groups=[pb.RequestGroup(resources=_WANTED)], limit=32)
    return await client.stub(CandidateServiceStub).ListCandidates(request)
