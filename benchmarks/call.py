"""One unary call with every check on: mutual TLS, token, access, validation, deadline, tracing.

GetFlavor also reads a row of the database. The client is Python too and runs beside what it measures.
"""

from collections.abc import Awaitable, Callable

from benchmarks import measure
from benchmarks.cloud import Cloud
from benchmarks.figures import Goal
from benchmarks.people import Person, person
from benchmarks.rest import asking
from benchmarks.suite import Bench
from mesh.channel import Client
from weft.compute.v1.flavor_service_pb2 import GetFlavorRequest
from weft.compute.v1.flavor_service_pb2_grpc import FlavorServiceStub

_AT_ONCE = 32


async def run(bench: Bench) -> None:
    """To the service itself, and through the gateway by gRPC and by REST."""
    cloud = await bench.cloud()
    async with person(cloud) as somebody:
        flavor = await somebody.flavor()
        async with somebody.directly("compute") as client:
            await _grpc(bench, cloud, "to the service", _get(client, flavor), Goal(1.2))
        await _grpc(bench, cloud, "through the gateway", _get(somebody.client, flavor), None)
        _rest(bench, cloud, somebody, flavor)


def _get(client: Client, flavor: str) -> Callable[[], Awaitable[object]]:
    stub, request = client.stub(FlavorServiceStub), GetFlavorRequest(id=flavor)
    return lambda: stub.GetFlavor(request)


async def _grpc(
    bench: Bench, cloud: Cloud, how: str, get: Callable[[], Awaitable[object]], goal: Goal | None
) -> None:
    times = bench.of(1000, 10_000)
    with cloud.spending() as spent:
        samples = await measure.one_by_one(get, times, warm_up=100)
    bench.tell(f"GetFlavor {how}", "ms", samples, goal, spent.each(times + 100))
    rounds = 3
    with cloud.spending() as spent:
        rates = [await measure.at_once(get, times, _AT_ONCE) for _ in range(rounds)]
    bench.tell(f"GetFlavor {how}, {_AT_ONCE} at once", "/s", rates, None, spent.each(rounds * times))


def _rest(bench: Bench, cloud: Cloud, somebody: Person, flavor: str) -> None:
    times, path = bench.of(500, 5000), f"/compute/v1/flavors/{flavor}"
    with asking(somebody) as rest:
        measure.here(lambda: rest.get(path), 50)
        with cloud.spending() as spent:
            samples = measure.here(lambda: rest.get(path), times)
    bench.tell("GetFlavor through the gateway, as REST", "ms", samples, None, spent.each(times))
