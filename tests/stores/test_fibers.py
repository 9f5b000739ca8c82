"""Plain functions that give way on the event loop; with uvloop's, which is what the services run on."""

import asyncio
import subprocess
import sys

import pytest
import uvloop
from sqlalchemy import Connection, MetaData, text

from mesh import fibers
from mesh.database import Database
from mesh.errors import CloudError

_ONE, _CUT = (
    text("SELECT 1"),
    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"),
)


async def test_it_answers_what_the_function_does() -> None:
    assert await fibers.run(lambda *words: "".join(words), "a", "b") == "ab"
    assert not fibers.inside()
    assert await fibers.run(fibers.inside)
    with pytest.raises(KeyError):
        await fibers.run({}.__getitem__, "nothing")


def test_the_loop_outlives_all_that_happens_to_its_connections(postgres_url: str) -> None:
    """In a process of its own: what goes wrong there is its memory."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.stores.test_fibers", postgres_url], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr


async def _be_cut_off(url: str) -> None:
    """Look and write, over and over, with connections that are closed while they are used and while not."""
    database, other = (Database.open(url, MetaData(), None) for _ in range(2))

    async def look() -> int:
        return await database.peek(_one)

    for _ in range(25):
        looks = [asyncio.create_task(look()) for _ in range(8)]
        await asyncio.sleep(0)
        await other.peek(_cut)
        for error in await asyncio.gather(*looks, database.write(_one), return_exceptions=True):
            assert error == 1 or isinstance(error, CloudError), repr(error)
    assert await look() == 1
    await database.close()
    await other.close()
    print("well")


def _one(connection: Connection) -> int | None:
    return connection.scalar(_ONE)


def _cut(connection: Connection) -> None:
    connection.execute(_CUT)


if __name__ == "__main__":
    uvloop.run(_be_cut_off(sys.argv[1]))
