"""Ports: made and listed, through the gateway."""

import orjson

from benchmarks import measure
from benchmarks.figures import Goal
from benchmarks.people import person
from benchmarks.rest import Rest, asking
from benchmarks.suite import Bench
from weft.network.v1 import port_service_pb2, port_service_pb2_grpc

_LISTED, _AT_ONCE = 1100, 16


async def run(bench: Bench) -> None:
    """One at a time and many at once; then 1,100 of them in a list, as REST, in as many pages as it takes."""
    cloud = await bench.cloud()
    async with person(cloud) as somebody:
        network = await somebody.network("10.60.0.0/16")
        stub = somebody.client.stub(port_service_pb2_grpc.PortServiceStub)

        async def create() -> None:
            await stub.CreatePort(port_service_pb2.CreatePortRequest(network_id=network))

        singly, warm_up = bench.of(200, 500), 20
        with cloud.spending() as spent:
            samples = await measure.one_by_one(create, singly, warm_up)
        bench.tell("CreatePort, one at a time", "ms", samples, Goal(5), spent.each(singly + warm_up))
        left = _LISTED - singly - warm_up
        with cloud.spending() as spent:
            rate = await measure.at_once(create, left, _AT_ONCE)
        bench.tell(f"CreatePort, {_AT_ONCE} at once", "/s", [rate], None, spent.each(left))
        times = bench.of(10, 50)
        with asking(somebody) as rest, cloud.spending() as spent:
            samples = measure.here(lambda: _all(rest), times, warm_up=2)
        bench.tell(f"list of {_LISTED:,} ports as REST", "ms", samples, Goal(40), spent.each(times + 2))


def _all(rest: Rest) -> None:
    found, token = 0, ""
    while found == 0 or token:
        page = orjson.loads(rest.get(f"/network/v1/ports?page_size=1000&page_token={token}"))
        found, token = found + len(page["ports"]), page.get("next_page_token", "")
    if found < _LISTED:
        raise ConnectionError(f"{found} ports were listed")
