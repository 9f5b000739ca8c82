"""Servers listed in full, as REST through the gateway.

One server is booted on the simulated host; the others are copies of its row, there for as long as this takes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import orjson

from benchmarks import measure
from benchmarks.figures import Goal
from benchmarks.people import person
from benchmarks.rest import Rest, asking
from benchmarks.suite import Bench
from mesh import ids

_SERVERS = 1000


async def run(bench: Bench) -> None:
    """1,000 servers in one page."""
    cloud = await bench.cloud()
    async with person(cloud) as somebody:
        flavor, network = await somebody.flavor(), await somebody.network("10.70.0.0/16")
        image = await somebody.image(bytes(1 << 20), "DISK_FORMAT_RAW")
        server = await somebody.create_server(flavor, image, network)
        await somebody.ended(server.operation_id)
        with _copies(cloud.layout.state / "compute.db", server.id), asking(somebody) as rest:
            times = bench.of(10, 50)
            with cloud.spending() as spent:
                samples = measure.here(lambda: _listed(rest), times, warm_up=2)
        bench.tell(f"{_SERVERS:,} servers as REST", "ms", samples, Goal(60), spent.each(times + 2))
        await somebody.delete_server(server.id)


def _listed(rest: Rest) -> None:
    found = len(orjson.loads(rest.get("/compute/v1/servers?page_size=1000"))["servers"])
    if found != _SERVERS:
        raise ConnectionError(f"{found} servers were listed")


@contextmanager
def _copies(database: Path, id: str) -> Iterator[None]:
    """Within the block the server is there so many times."""
    made = [ids.new() for _ in range(_SERVERS - 1)]
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(servers)") if row[1] != "id"]
        columns = ", ".join(f'"{name}"' for name in names)
        copy = f"INSERT INTO servers (id, {columns}) SELECT ?, {columns} FROM servers WHERE id = ?"
        with connection:
            connection.executemany(copy, [(new, id) for new in made])
        try:
            yield
        finally:
            with connection:
                connection.executemany("DELETE FROM servers WHERE id = ?", [(each,) for each in made])
