"""The rules for passwords, and what strangers cannot do to others."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from mesh import clock
from mesh.errors import CloudError
from mesh.settings import Settings
from tests.services.identity.conftest import PASSWORD, Cloud, password_login, running
from tests.services.identity.test_login import reason
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1 import user_service_pb2 as user_pb

Ruled = Callable[..., AbstractAsyncContextManager[Cloud]]


@pytest.fixture
def ruled(cloud: Settings) -> Ruled:
    """Identity with rules of the test's own."""

    @asynccontextmanager
    async def start(**rules: Any) -> AsyncIterator[Cloud]:
        section = msgspec.structs.replace(cloud.identity, **rules)
        async with running(msgspec.structs.replace(cloud, identity=section)) as world:
            yield world

    return start


def change(name: str, old: str, new: str) -> token_pb.ChangePasswordRequest:
    return token_pb.ChangePasswordRequest(
        user=token_pb.PasswordCredential(user_name=name, password=old), password=new
    )


async def test_a_short_password_is_refused_wherever_it_is_set(ruled: Ruled) -> None:
    async with ruled(password_min_length=12) as world:
        assert await reason(world.user("ann", password="elevenchars")) == "INVALID_ARGUMENT"
        user = await world.user("ann", password="twelve chars")
        admin = await world.admin()
        short = user_pb.SetPasswordRequest(id=user.id, password="elevenchars")
        assert await reason(admin.users.SetPassword(short)) == "INVALID_ARGUMENT"
        again = change("ann", "twelve chars", "elevenchars")
        assert await reason(world.nobody().tokens.ChangePassword(again)) == "INVALID_ARGUMENT"
        assert (await world.login("ann", password="twelve chars")).info.user_id == user.id


async def test_the_last_passwords_do_not_come_back_too_soon(ruled: Ruled) -> None:
    async with ruled(password_history=2) as world:
        await world.user("ann", password="password 1")
        own = world.nobody().tokens
        await own.ChangePassword(change("ann", "password 1", "password 2"))
        for again in ("password 1", "password 2"):
            assert await reason(own.ChangePassword(change("ann", "password 2", again))) == "INVALID_ARGUMENT"
        await own.ChangePassword(change("ann", "password 2", "password 3"))
        await own.ChangePassword(change("ann", "password 3", "password 1"))
        assert (await world.login("ann", password="password 1")).token


async def test_a_password_that_somebody_else_set_is_changed_before_it_is_used(ruled: Ruled) -> None:
    async with ruled(password_change_at_first_use=True) as world:
        user = await world.user("ann")
        assert user.password_change_due
        assert await reason(world.login("ann")) == "PASSWORD_CHANGE_REQUIRED"
        assert await reason(world.login("ann", password="a wrong one")) == "UNAUTHENTICATED"
        await world.nobody().tokens.ChangePassword(change("ann", PASSWORD, "ann's own password"))
        assert (await world.login("ann", password="ann's own password")).info.user_id == user.id
        await world.user("robot", password_rules_exempt=True)
        assert (await world.login("robot")).info.user_name == "robot"


async def test_an_old_password_must_be_changed_but_not_that_of_an_exempt_user(ruled: Ruled) -> None:
    async with ruled(password_days=1) as world:
        await world.user("ann")
        robot = await world.user("robot")
        exempt = user_pb.UpdateUserRequest(id=robot.id, user={"password_rules_exempt": True})
        await (await world.admin()).users.UpdateUser(exempt)
        assert (await world.login("ann")).token
        later = clock.now() + timedelta(hours=25)
        with clock.told_by(lambda: later):
            assert await reason(world.login("ann")) == "PASSWORD_CHANGE_REQUIRED"
            assert (await world.login("robot")).token
            await world.nobody().tokens.ChangePassword(change("ann", PASSWORD, "a newer password"))
            assert (await world.login("ann", password="a newer password")).token


async def test_changing_a_password_needs_the_one_until_now_and_tells_nothing_else(world: Cloud) -> None:
    user = await world.user("ann")
    own = world.nobody().tokens
    wrong = [change("ann", "a wrong one", "long enough"), change("nobody", PASSWORD, "long enough")]
    assert [await reason(own.ChangePassword(each)) for each in wrong] == ["UNAUTHENTICATED"] * 2
    person = await world.login("ann")
    await own.ChangePassword(change("ann", PASSWORD, "long enough"))
    assert await reason(person.users.GetUser(user_pb.GetUserRequest(id=user.id))) == "TOKEN_REVOKED"
    assert await reason(world.login("ann")) == "UNAUTHENTICATED"
    assert (await world.login("ann", password="long enough")).info.user_id == user.id


async def test_many_strangers_cannot_lock_a_user_out_of_where_they_work(ruled: Ruled) -> None:
    async with ruled(lockout_failures=6) as world:
        await world.user("ann")
        anybody = world.nobody().tokens
        home = (("x-forwarded-for", "192.0.2.1"),)
        assert (await anybody.CreateToken(password_login("ann"), metadata=home)).token
        for n in range(6):
            there = (("x-forwarded-for", f"198.51.100.{n}"),)
            guess = anybody.CreateToken(password_login("ann", password="wrong"), metadata=there)
            assert await reason(guess) == "UNAUTHENTICATED"
        fresh = (("x-forwarded-for", "198.51.100.99"),)
        lucky = anybody.CreateToken(password_login("ann"), metadata=fresh)
        assert await reason(lucky) == "TOO_MANY_ATTEMPTS"
        assert (await anybody.CreateToken(password_login("ann"), metadata=home)).token


async def test_no_log_and_no_error_says_a_password(ruled: Ruled, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secrets = ("secret-1", "secret-22", "secret-333")
    async with ruled(password_min_length=9, password_history=3) as world:
        await world.user("ann", password=secrets[1])
        own, said = world.nobody().tokens, []
        for request in (
            change("ann", secrets[1], secrets[0]),
            change("ann", secrets[1], secrets[1]),
            change("ann", secrets[2], secrets[2]),
        ):
            with pytest.raises(CloudError) as caught:
                await own.ChangePassword(request)
            said.append(f"{caught.value.message} {caught.value.metadata} {caught.value.fields}")
        await own.ChangePassword(change("ann", secrets[1], secrets[2]))
        assert (await world.login("ann", password=secrets[2])).token
    assert all("password" in each for each in said)
    for secret in (*secrets, "$argon2"):
        assert secret not in caplog.text + " ".join(said)
