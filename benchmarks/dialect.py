"""What OpenStack's dialects cost beside the contracts' own REST, and a long list of servers through them.

A dialect's call goes through the edge and one more process, which makes the gRPC calls that the edge else
makes itself. The list also asks the network service for the names and addresses that Nova's has in it.
"""

import http.client
import ssl
from collections.abc import Callable

from benchmarks import measure
from benchmarks.cloud import Cloud, running
from benchmarks.figures import Goal
from benchmarks.people import Person, person
from benchmarks.suite import Bench

# Of the smallest flavor a simulated host takes 256.
_HOSTS, _AT_ONCE = 4, 16
_IMAGE = bytes(1 << 20)


async def run(bench: Bench) -> None:
    """One flavor both ways, then `/servers/detail`."""
    cloud = await bench.cloud()
    async with person(cloud) as somebody:
        await _one_call(bench, cloud, somebody)
    # A cloud of their own: who measures boots next finds an empty one.
    async with running(hosts=_HOSTS) as large, person(large) as somebody:
        goal = Goal(100) if bench.full else None
        await _long_list(bench, large, somebody, bench.of(200, 1000), goal)


async def _one_call(bench: Bench, cloud: Cloud, somebody: Person) -> None:
    flavor, times = await somebody.flavor(), bench.of(500, 5000)
    native = _getter(somebody, f"/compute/v1/flavors/{flavor}")
    dialect = _getter(somebody, f"/compute/v2.1/flavors/{flavor}")
    for get in (native, dialect):
        measure.here(get, 50)
    turns = [(*measure.here(native, 1), *measure.here(dialect, 1)) for _ in range(times)]
    plain, samples = zip(*turns, strict=True)
    with cloud.spending() as spent:
        measure.here(dialect, times)
    bench.tell("GetFlavor as REST of the contract", "ms", plain)
    bench.tell("GetFlavor as Compute 2.1", "ms", samples, None, spent.each(times))
    bench.tell("what the dialect adds, in turns", "ms", [theirs - ours for ours, theirs in turns], Goal(2.0))


async def _long_list(bench: Bench, cloud: Cloud, somebody: Person, count: int, goal: Goal | None) -> None:
    flavor, network = await somebody.flavor(), await somebody.network("10.24.0.0/16")
    image = await somebody.image(_IMAGE, "DISK_FORMAT_RAW")

    async def boot() -> None:
        server = await somebody.create_server(flavor, image, network)
        await somebody.ended(server.operation_id)

    await measure.at_once(boot, count, _AT_ONCE)
    get = _getter(somebody, "/compute/v2.1/servers/detail")
    times = bench.of(20, 50)
    measure.here(get, 3)
    with cloud.spending() as spent:
        samples = measure.here(get, times)
    bench.tell(f"GET /servers/detail of {count} servers", "ms", samples, goal, spent.each(times))


def _getter(somebody: Person, path: str) -> Callable[[], None]:
    """A GET over one kept HTTP/1.1 connection, with the token as each API wants it."""
    layout = somebody.cloud.layout
    trust = ssl.create_default_context(cafile=str(layout.ca))
    connection = http.client.HTTPSConnection("127.0.0.1", layout.port, context=trust)
    token = somebody.client.token or ""
    headers = {"Authorization": f"Bearer {token}", "X-Auth-Token": token}

    def get() -> None:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise ConnectionError(f"the gateway answered {answer.status}: {content!r}")

    return get
