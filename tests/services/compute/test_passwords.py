"""What guests leave for their owners: through what a host's agent answers them with, into compute and out."""

from http import HTTPStatus
from typing import Any

import pytest
import sqlalchemy as sa

from mesh import ids
from mesh.errors import CloudError
from node.passwords import Passwords
from services.compute.tables import passwords
from tests.services.compute.cloud import Cloud, User
from tests.services.compute.fakes.node import Node
from weft.compute.v1.password_service_pb2 import ClearPasswordRequest, GetPasswordRequest
from weft.compute.v1.password_service_pb2_grpc import PasswordServiceStub
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import RebuildServerRequest

LEFT = "q83vEjRWeJA="


class _Peers:
    """Compute as one host reaches it."""

    def __init__(self, compute: Cloud, host_id: str) -> None:
        self._client = compute.house.node("compute", host_id)

    def stub(self, stub_class: Any, service: str) -> Any:
        assert service == "compute"
        return self._client.stub(stub_class)


def agent(compute: Cloud, node: Node) -> Passwords:
    """What answers the guests of a host."""
    return Passwords(_Peers(compute, node.id), node.id)  # type: ignore[arg-type]


def calls(compute: Cloud, user: User) -> Any:
    return compute.house.user("compute", user.caller).stub(PasswordServiceStub)


async def seen(compute: Cloud, server: Server) -> str:
    """What its owner finds."""
    stub = calls(compute, compute.member)
    return (await stub.GetPassword(GetPasswordRequest(server_id=server.id))).encrypted


async def test_a_guest_leaves_one_password_until_its_owner_clears_it(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    guests = agent(compute, compute.host_of(made))
    assert await guests.answer(made.id, "GET", b"") == (HTTPStatus.OK, b"")
    assert await seen(compute, made) == ""
    assert await guests.answer(made.id, "POST", LEFT.encode()) == (HTTPStatus.OK, b"")
    assert (await guests.answer(made.id, "POST", b"another"))[0] == HTTPStatus.CONFLICT
    assert await guests.answer(made.id, "GET", b"") == (HTTPStatus.OK, LEFT.encode())
    assert await seen(compute, made) == LEFT
    for _ in range(2):
        await calls(compute, compute.member).ClearPassword(ClearPasswordRequest(server_id=made.id))
    assert await seen(compute, made) == ""
    assert (await guests.answer(made.id, "POST", b"another"))[0] == HTTPStatus.OK
    assert await seen(compute, made) == "another"


async def test_a_call_to_clear_it_that_is_sent_again_clears_no_newer_one(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    guests = agent(compute, compute.host_of(made))
    clear = ClearPasswordRequest(server_id=made.id, request_id=ids.new())
    for text in (b"first", b"second"):
        assert (await guests.answer(made.id, "POST", text))[0] == HTTPStatus.OK
        await calls(compute, compute.member).ClearPassword(clear)
    assert await seen(compute, made) == "second"


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("POST", b"", HTTPStatus.BAD_REQUEST),
        ("POST", b"x" * 1021, HTTPStatus.BAD_REQUEST),
        ("POST", b"\xff", HTTPStatus.BAD_REQUEST),
        ("PUT", b"x", HTTPStatus.METHOD_NOT_ALLOWED),
        ("DELETE", b"", HTTPStatus.METHOD_NOT_ALLOWED),
    ],
)
async def test_what_is_no_password_is_not_kept(
    compute: Cloud, method: str, body: bytes, status: HTTPStatus
) -> None:
    made = await compute.member.boot(**compute.wish)
    guests = agent(compute, compute.host_of(made))
    assert (await guests.answer(made.id, method, body))[0] == status
    assert await seen(compute, made) == ""
    assert (await guests.answer(made.id, "POST", b"x" * 1020))[0] == HTTPStatus.OK


async def test_another_project_neither_reads_nor_clears_it(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    await agent(compute, compute.host_of(made)).answer(made.id, "POST", LEFT.encode())
    stub = calls(compute, compute.stranger)
    for call in (
        stub.GetPassword(GetPasswordRequest(server_id=made.id)),
        stub.ClearPassword(ClearPasswordRequest(server_id=made.id)),
    ):
        with pytest.raises(CloudError) as refused:
            await call
        assert refused.value.reason == "NOT_FOUND"
    assert await seen(compute, made) == LEFT


async def test_a_host_neither_reads_nor_leaves_one_of_anothers_guest(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    own = compute.host_of(made)
    (other,) = (node for node in compute.nodes if node is not own)
    for method in ("GET", "POST"):
        assert await agent(compute, other).answer(made.id, method, b"x") == (
            HTTPStatus.SERVICE_UNAVAILABLE,
            b"",
        )
    assert await seen(compute, made) == ""
    assert (await agent(compute, own).answer(made.id, "POST", b"x"))[0] == HTTPStatus.OK


async def test_a_rebuilt_guest_leaves_its_own_and_a_deleted_servers_is_forgotten(compute: Cloud) -> None:
    made = await compute.member.boot(**compute.wish)
    guests = agent(compute, compute.host_of(made))
    await guests.answer(made.id, "POST", LEFT.encode())
    request = RebuildServerRequest(id=made.id, image_id=compute.image.id)
    await compute.member.settled(await compute.member.servers.RebuildServer(request))
    assert await seen(compute, made) == ""
    assert (await guests.answer(made.id, "POST", LEFT.encode()))[0] == HTTPStatus.OK
    await compute.member.delete(made)
    count = sa.select(sa.func.count()).select_from(passwords)
    assert await compute.runtime.database.read(lambda connection: connection.scalar(count)) == 0
