"""What a stranger learns from wrong logins: nothing, neither from the answer nor from the work behind it."""

import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from mesh import clock, ids
from mesh.errors import CloudError
from services.identity import passwords
from tests.services.identity.conftest import PASSWORD, Cloud, password_login
from tests.services.identity.test_login import reason
from weft.identity.v1 import domain_service_pb2 as domain_pb
from weft.identity.v1 import token_service_pb2 as pb
from weft.identity.v1 import user_service_pb2 as user_pb

OFF = {"paths": ["enabled"]}


class CountingHasher:
    """The hasher of passwords, which also says how often it was asked."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.asked = 0

    def hash(self, password: str) -> str:
        self.asked += 1
        return str(self._real.hash(password))

    def verify(self, stored: str, password: str) -> bool:
        self.asked += 1
        return bool(self._real.verify(stored, password))


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> CountingHasher:
    counting = CountingHasher(passwords._HASHER)
    monkeypatch.setattr(passwords, "_HASHER", counting)
    return counting


USUAL = passwords._HASHER  # as it is without this room's quick one


def test_a_guess_costs_what_owasp_asks_for() -> None:
    stored = USUAL.hash("a password")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert USUAL.verify(stored, "a password")


def places() -> Iterator[tuple[tuple[str, str], ...]]:
    """A new address each time: nobody is slowed down for what was tried before."""
    for n in range(1, 200):
        yield (("x-forwarded-for", f"203.0.113.{n}"),)


async def whole_answer(call: Any) -> tuple[Any, ...]:
    """All that comes over the wire of a refusal, but for the id of its trace."""
    with pytest.raises(CloudError) as caught:
        await call
    error = caught.value.__cause__
    assert isinstance(error, grpc.aio.AioRpcError)
    initial, trailing = (
        sorted((key, _without_trace(value)) for key, value in metadata or ())
        for metadata in (error.initial_metadata(), error.trailing_metadata())
    )
    return error.code(), error.details(), tuple(initial), tuple(trailing)


def _without_trace(value: str | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return re.sub(rb"[0-9a-f]{32}|[0-9a-f]{16}", b"?", raw)


async def wrong_logins(cloud: Cloud) -> dict[str, dict[str, str]]:
    """Who may not come in, by why."""
    admin = await cloud.admin()
    north = await cloud.domain("north")
    await cloud.user("ann")
    carl = await cloud.user("carl")
    eve = await cloud.user("eve", domain_id=north.id)
    await cloud.user("robot", password="")
    await admin.users.UpdateUser(user_pb.UpdateUserRequest(id=carl.id, user={}, update_mask=OFF))
    away = domain_pb.UpdateDomainRequest(id=north.id, domain={}, update_mask=OFF)
    await admin.domains.UpdateDomain(away)
    return {
        "wrong password": {"user_name": "ann", "password": "wrong"},
        "unknown user": {"user_name": "nobody", "password": PASSWORD},
        "unknown id": {"user_id": ids.new(), "password": PASSWORD},
        "wrong domain": {"user_name": "ann", "password": PASSWORD, "domain_name": "north"},
        "unknown domain": {"user_name": "ann", "password": PASSWORD, "domain_name": "south"},
        "disabled": {"user_name": "carl", "password": PASSWORD},
        "disabled, wrong password": {"user_name": "carl", "password": "wrong"},
        "disabled, by id": {"user_id": carl.id, "password": PASSWORD},
        "disabled domain": {"user_id": eve.id, "password": PASSWORD},
        "no password set": {"user_name": "robot", "password": "wrong"},
    }


def login(said: dict[str, str]) -> pb.CreateTokenRequest:
    return pb.CreateTokenRequest(password=pb.PasswordCredential(**said))


def change(said: dict[str, str]) -> pb.ChangePasswordRequest:
    return pb.ChangePasswordRequest(user=pb.PasswordCredential(**said), password="a good new one")


async def test_all_wrong_logins_are_answered_alike_for_the_same_work(
    either: Cloud, hasher: CountingHasher
) -> None:
    anybody, place = either.nobody().tokens, places()
    answers, work = {}, {}
    for why, said in (await wrong_logins(either)).items():
        for call, request in ((anybody.CreateToken, login(said)), (anybody.ChangePassword, change(said))):
            before = hasher.asked
            answers[why, call] = await whole_answer(call(request, metadata=next(place)))
            work[why, call] = hasher.asked - before
    assert set(work.values()) == {1}
    assert len(set(answers.values())) == 1
    (code, _, _, trailing) = next(iter(answers.values()))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert trailing
    before = hasher.asked
    assert (await anybody.CreateToken(password_login("ann"), metadata=next(place))).token
    assert hasher.asked - before == 1


async def test_who_was_wrong_too_often_is_answered_alike_whoever_they_asked_for(
    either: Cloud, hasher: CountingHasher
) -> None:
    anybody, place, answers = either.nobody().tokens, places(), set()
    wrong = await wrong_logins(either)
    now = clock.now()
    with clock.told_by(lambda: now):
        for said in wrong.values():
            there = next(place)
            for _ in range(5):
                assert await reason(anybody.CreateToken(login(said), metadata=there)) == "UNAUTHENTICATED"
            before = hasher.asked
            answers.add(await whole_answer(anybody.CreateToken(login(said), metadata=there)))
            assert hasher.asked == before
        assert (await anybody.CreateToken(password_login("ann"), metadata=next(place))).token
    assert len(answers) == 1
    assert answers.pop()[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
