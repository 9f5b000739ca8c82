"""A cut cable holds back and does not lose."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.cables import BOTH, TO_CONTROL, TO_HOST, Cable

# Long enough that what was not held back would have come.
_HELD_SECONDS = 0.3


@pytest.fixture
async def ends(tmp_path: Path) -> AsyncIterator[tuple[Cable, str]]:
    """A cable from a host to an echo in control, and the address of the host's end."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_unix_server(echo, tmp_path / "control")
    cable = Cable()
    await cable.carry(
        TO_CONTROL, f"unix:{tmp_path}/host", [f"unix:{tmp_path}/nobody", f"unix:{tmp_path}/control"]
    )
    yield cable, str(tmp_path / "host")
    await cable.close()
    server.close()


async def answer(reader: asyncio.StreamReader, seconds: float = 30) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(100)
    except TimeoutError:
        return b"nothing"


@pytest.mark.parametrize("way", [BOTH, TO_HOST, TO_CONTROL])
async def test_what_a_cut_holds_back_comes_when_it_is_mended(ends: tuple[Cable, str], way: str) -> None:
    cable, end = ends
    reader, writer = await asyncio.open_unix_connection(end)
    writer.write(b"before")
    assert await answer(reader) == b"before"
    cable.cut(way)
    writer.write(b"during")
    assert await answer(reader, _HELD_SECONDS) == b"nothing"
    cable.mend()
    assert await answer(reader) == b"during"
    writer.close()


async def test_nobody_new_gets_through_a_cut(ends: tuple[Cable, str]) -> None:
    cable, end = ends
    cable.cut(TO_HOST)
    reader, writer = await asyncio.open_unix_connection(end)
    writer.write(b"hello")
    assert await answer(reader, _HELD_SECONDS) == b"nothing"
    cable.mend()
    assert await answer(reader) == b"hello"
    writer.close()
