"""The metadata server's HTTP, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from http import HTTPStatus

import pytest

from node.wire.http import Answer, Connection

DOCUMENTS = {"/greeting": b"hello", "/facts": b'{"a": 1}'}


def _asked(client: str, path: str, method: str, body: bytes) -> Awaitable[Answer] | None:
    """What /echo is asked comes back after a while; /no is refused."""

    async def answer() -> Answer:
        await asyncio.sleep(0.01)
        if path == "/no":
            return HTTPStatus.CONFLICT, b"not told"
        return HTTPStatus.OK, b" ".join((client.encode(), method.encode(), body))

    return answer() if path in ("/echo", "/no") else None


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    """Where it listens."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(lambda _, path: DOCUMENTS.get(path), _asked), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()
    server.close()


async def say(address: tuple[str, int], octets: bytes) -> bytes:
    """Everything that is answered until the server hangs up, or says no more for a while."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(octets)
    found = b""
    try:
        while part := await asyncio.wait_for(reader.read(65_536), 0.5):
            found += part
    except (TimeoutError, ConnectionResetError):
        return found
    finally:
        writer.close()
    return found


async def test_a_document_is_answered_with_its_kind(address: tuple[str, int]) -> None:
    found = await say(address, b"GET /greeting HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain")
    assert found.endswith(b"\r\n\r\nhello")
    assert b"application/json" in await say(address, b"GET /facts HTTP/1.0\r\n\r\n")


async def test_requests_follow_each_other_on_one_connection(address: tuple[str, int]) -> None:
    one = b"GET /greeting HTTP/1.1\r\nHost: x\r\n\r\n"
    found = await say(address, one + one + b"HEAD /greeting HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert found.count(b"200 OK") == 3
    assert found.count(b"hello") == 2


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"PUT /greeting HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"404"),
        (b"no http at all\r\n\r\n", b"400"),
        (b"GET /greeting HTTP/1.1\r\nX: " + b"y" * 20_000, b"413"),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
    ],
)
async def test_what_makes_no_sense_is_refused(address: tuple[str, int], octets: bytes, status: bytes) -> None:
    assert (await say(address, octets)).startswith(b"HTTP/1.1 " + status)
    assert b"200 OK" in await say(address, b"GET /greeting HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_question_is_answered_when_its_whole_body_is_there(
    address: tuple[str, int], pieces: int
) -> None:
    octets = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabcdefghi"
    reader, writer = await asyncio.open_connection(*address)
    size = -(-len(octets) // pieces)
    for begin in range(0, len(octets), size):
        writer.write(octets[begin : begin + size])
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        found = await reader.read()
    writer.close()
    assert found.startswith(b"HTTP/1.1 200 OK")
    assert found.endswith(b"\r\n\r\n127.0.0.1 POST abcdefghi")


async def test_a_question_ends_its_connection_and_what_follows_is_not_answered(
    address: tuple[str, int],
) -> None:
    one = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
    found = await say(address, one + b"GET /greeting HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found.count(b"HTTP/1.1") == 1
    assert found.endswith(b"127.0.0.1 GET ")


async def test_a_question_that_is_refused_says_its_status_alone(address: tuple[str, int]) -> None:
    found = await say(address, b"POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
    assert found.startswith(b"HTTP/1.1 409 Conflict")
    assert b"not told" not in found
