"""Where a server could go among many hosts: the decision alone, and asked of placement over gRPC."""

from benchmarks import measure, processes
from benchmarks.alone import service
from benchmarks.figures import Goal
from benchmarks.suite import Bench
from mesh import clock, ids
from mesh.certificates import Identity
from mesh.channel import Client
from services.placement.candidates import Candidates
from services.placement.model import Group, Inventory, Provider
from weft.placement.v1 import resources_pb2 as pb
from weft.placement.v1.candidate_service_pb2 import ListCandidatesRequest
from weft.placement.v1.candidate_service_pb2_grpc import CandidateServiceStub
from weft.placement.v1.provider_service_pb2 import SyncProviderRequest
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub

_HOSTS = 10_000
_AT_ONCE = 64
_HAS = {"VCPU": 64, "MEMORY_MB": 262_144, "DISK_GB": 4_000}
_WANTED = {"VCPU": 2, "MEMORY_MB": 2_048, "DISK_GB": 20}
_TRAIT = "COMPUTE_NODE"


async def run(bench: Bench) -> None:
    """Over 10,000 hosts of which all have room."""
    view = Candidates()
    for number in range(_HOSTS):
        view.put(_provider(number))
    group = [Group(_WANTED, required=(_TRAIT,))]
    times = bench.of(300, 5000)
    find = measure.here(lambda: view.find(group, share=False, exclude=(), limit=1), times, warm_up=20)
    bench.tell(f"the decision, {_HOSTS:,} hosts", "ms", find, Goal(0.1))
    async with service("placement", Identity.service("compute"), _listens) as (client, pid):
        await _filled(bench, client, pid)
        await _asked(bench, client, pid)


async def _filled(bench: Bench, client: Client, pid: int) -> None:
    stub, numbers = client.stub(ProviderServiceStub), iter(range(_HOSTS))
    with processes.spending({"placement": pid}) as spent:
        rate = await measure.at_once(lambda: stub.SyncProvider(_sync(next(numbers))), _HOSTS, _AT_ONCE)
    bench.tell(f"hosts registered, {_AT_ONCE} at once", "/s", [rate], None, spent.each(_HOSTS))


async def _asked(bench: Bench, client: Client, pid: int) -> None:
    stub = client.stub(CandidateServiceStub)
    group = pb.RequestGroup(resources=_WANTED, required_traits=[_TRAIT])
    goals: dict[int, Goal | None] = {1: None, 32: None, 1000: Goal(3)}
    for limit, goal in goals.items():
        request, times = ListCandidatesRequest(groups=[group], limit=limit), bench.of(100, 1000)
        with processes.spending({"placement": pid}) as spent:
            samples = await measure.one_by_one(lambda asked=request: stub.ListCandidates(asked), times, 10)
        name = f"ListCandidates, {_HOSTS:,} hosts, limit {limit}"
        bench.tell(name, "ms", samples, goal, spent.each(times + 10))


async def _listens(client: Client) -> None:
    request = ListCandidatesRequest(groups=[pb.RequestGroup(resources=_WANTED)])
    await client.stub(CandidateServiceStub).ListCandidates(request)


def _provider(number: int) -> Provider:
    id, now = ids.new(), clock.now()
    held = {name: Inventory.of(total, 0, 0, 0, 0, 1.0) for name, total in _HAS.items()}
    return Provider(id, f"host-{number}", "", id, 0, now, now, held, {}, frozenset({_TRAIT}))


def _sync(number: int) -> SyncProviderRequest:
    held = [pb.Inventory(resource_class=name, total=total) for name, total in _HAS.items()]
    return SyncProviderRequest(id=ids.new(), name=f"host-{number}", inventories=held, traits=[_TRAIT])
