"""A token that is made ready while the password is hashed: of use to nobody who should have none."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from services.identity import passwords
from tests.services.identity.conftest import Cloud, Scope, password_login
from tests.services.identity.test_login import reason
from weft.identity.v1 import key_service_pb2 as key_pb
from weft.identity.v1 import user_service_pb2 as user_pb

PATIENCE = 60


class SlowHasher:
    """The hasher of passwords, which waits to be told to go on whenever it is held."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.going = threading.Event()
        self.going.set()
        self.begun = threading.Event()

    def hash(self, password: str) -> str:
        return str(self._real.hash(password))

    def verify(self, stored: str, password: str) -> bool:
        self.begun.set()
        assert self.going.wait(PATIENCE)
        return bool(self._real.verify(stored, password))


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> SlowHasher:
    slow = SlowHasher(passwords._HASHER)
    monkeypatch.setattr(passwords, "_HASHER", slow)
    return slow


async def while_hashing(hasher: SlowHasher, call: Any, meanwhile: Callable[[], Any]) -> Any:
    """The answer of a login, and what was done in the midst of it."""
    hasher.begun.clear()
    hasher.going.clear()
    task = asyncio.ensure_future(call)
    try:
        assert await asyncio.to_thread(hasher.begun.wait, PATIENCE)
        await meanwhile()
    finally:
        hasher.going.set()
    return await task


async def test_what_takes_a_right_away_while_the_password_is_hashed_ends_the_token(
    either: Cloud, hasher: SlowHasher
) -> None:
    ann, project = await either.member("ann")  # from here on her place is known
    admin = await either.admin()
    anybody, scope = either.nobody().tokens, Scope(project_id=project.id)

    async def nothing() -> None:
        return

    async def disable() -> None:
        request = user_pb.UpdateUserRequest(id=ann.info.user_id, user={}, update_mask={"paths": ["enabled"]})
        await admin.users.UpdateUser(request)

    login = password_login("ann", scope)
    keys = either.service().keys
    calm = await while_hashing(hasher, anybody.CreateToken(login), nothing)
    assert (await keys.CheckToken(key_pb.CheckTokenRequest(token=calm.token))).user_name == "ann"
    raced = await while_hashing(hasher, anybody.CreateToken(login), disable)
    assert await reason(keys.CheckToken(key_pb.CheckTokenRequest(token=raced.token))) == "TOKEN_REVOKED"


async def test_a_wrong_password_gets_no_token_from_a_known_place_and_a_wrong_scope_none_either(
    either: Cloud,
) -> None:
    _, project = await either.member("ann")
    other = await either.project("another's")
    anybody, mine = either.nobody().tokens, Scope(project_id=project.id)
    wrong = password_login("ann", mine, "wrong")
    assert await reason(anybody.CreateToken(wrong)) == "UNAUTHENTICATED"
    elsewhere = password_login("ann", Scope(project_id=other.id))
    assert await reason(anybody.CreateToken(elsewhere)) == "UNAUTHENTICATED"
    assert (await anybody.CreateToken(password_login("ann", mine))).token
