"""Servers made and deleted through the gateway, each with an image and a port, on a simulated host.

The host's agent keeps the contract and its ledger as ever, but runs no guest and touches no kernel: what is
measured is the control plane's work. A server counts as made when its operation's stream says so.
"""

from benchmarks import measure
from benchmarks.cloud import Cloud
from benchmarks.figures import Goal
from benchmarks.people import person
from benchmarks.processes import pss_mb
from benchmarks.suite import Bench

_AT_ONCE = 16
_IMAGE = bytes(1 << 20)


async def run(bench: Bench) -> None:
    """On SQLite."""
    await measured(bench, await bench.cloud(), 100)


async def measured(bench: Bench, cloud: Cloud, at_once: float) -> None:
    """One at a time, then many at once, and the same for their deletion. `at_once` is how many boots a second
    there should be.
    """
    async with person(cloud) as somebody:
        flavor, network = await somebody.flavor(), await somebody.network("10.20.0.0/16")
        image = await somebody.image(_IMAGE, "DISK_FORMAT_RAW")
        made: list[str] = []

        async def boot() -> None:
            server = await somebody.create_server(flavor, image, network)
            await somebody.ended(server.operation_id)
            made.append(server.id)

        async def delete() -> None:
            await somebody.delete_server(made.pop())

        await _singly(bench, cloud, boot, delete)
        await _together(bench, cloud, boot, delete, Goal(at_once, at_least=True))
    pids = cloud.pids()
    memory = sum(pss_mb(pids[name]) for name in cloud.control_plane)
    bench.tell("memory of control and gateway afterwards", "MB PSS", [memory])


async def _singly(bench: Bench, cloud: Cloud, boot: measure.Work, delete: measure.Work) -> None:
    times, warm_up = bench.of(50, 200), 5
    with cloud.spending() as spent:
        samples = await measure.one_by_one(boot, times, warm_up)
    bench.tell("to ACTIVE, one at a time", "ms", samples, Goal(50), spent.each(times + warm_up))
    with cloud.spending() as spent:
        samples = await measure.one_by_one(delete, times + warm_up)
    bench.tell("deleted, one at a time", "ms", samples, None, spent.each(times + warm_up))


async def _together(bench: Bench, cloud: Cloud, boot: measure.Work, delete: measure.Work, goal: Goal) -> None:
    times, rounds = bench.of(64, 240), bench.of(3, 5)
    boots, deletes = [], []
    with cloud.spending() as spent:
        for _ in range(rounds):
            boots.append(await measure.at_once(boot, times, _AT_ONCE))
            deletes.append(await measure.at_once(delete, times, _AT_ONCE))
    bench.tell(f"to ACTIVE, {_AT_ONCE} at once", "/s", boots, goal)
    bench.tell(
        f"deleted, {_AT_ONCE} at once", "/s", deletes, Goal(100, at_least=True), spent.each(rounds * times),
        note="the processors' time is of a boot and its deletion",
    )  # fmt: skip
