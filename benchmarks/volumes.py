"""Volumes made and deleted through the gateway, until their operation's stream says so.

The host is **simulated**: it keeps the contract and makes no file.
"""

from benchmarks import measure
from benchmarks.figures import Goal
from benchmarks.people import person
from benchmarks.suite import Bench
from weft.block.v1 import operation_service_pb2_grpc, volume_service_pb2, volume_service_pb2_grpc

_AT_ONCE = 16


async def run(bench: Bench) -> None:
    """To AVAILABLE, one at a time and many at once; and gone."""
    cloud = await bench.cloud()
    async with person(cloud) as somebody:
        stub = somebody.client.stub(volume_service_pb2_grpc.VolumeServiceStub)
        watch = somebody.client.stub(operation_service_pb2_grpc.OperationServiceStub).WatchOperation
        made: list[str] = []

        async def create() -> None:
            volume = await stub.CreateVolume(volume_service_pb2.CreateVolumeRequest(name="v", size_gib=1))
            await somebody.ended(volume.operation_id, watch)
            made.append(volume.id)

        async def delete() -> None:
            volume = await stub.DeleteVolume(volume_service_pb2.DeleteVolumeRequest(id=made.pop()))
            await somebody.ended(volume.operation_id, watch)

        times = bench.of(50, 200)
        with cloud.spending() as spent:
            samples = await measure.one_by_one(create, times, 5)
        bench.tell("to AVAILABLE, one at a time", "ms", samples, Goal(15), spent.each(times + 5))
        await measure.at_once(delete, len(made), _AT_ONCE)
        rounds, rates, goal = bench.of(3, 5), list[float](), Goal(100, at_least=True)
        with cloud.spending() as spent:
            for _ in range(rounds):
                rates.append(await measure.at_once(create, 64, _AT_ONCE))
                await measure.at_once(delete, 64, _AT_ONCE)
        bench.tell(
            f"to AVAILABLE, {_AT_ONCE} at once", "/s", rates, goal, spent.each(64 * rounds),
            note="the processors' time is of a volume and its deletion",
        )  # fmt: skip
