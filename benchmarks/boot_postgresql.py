"""`boot` with every service's tables in PostgreSQL: a cluster of its own, on a unix socket, fsync on."""

from benchmarks import bare, boot, fleet
from benchmarks.suite import Bench
from tests.postgres import cluster


async def run(bench: Bench) -> None:
    """The same, on one simulated host."""
    with cluster() as url:
        async with bare.running("control", database=url) as cloud, fleet.playing(cloud, 1):
            await boot.measured(bench, cloud, at_once=60)
