"""A second factor: one-time codes, receipts, and what a wrong or used code brings."""

import base64
from datetime import datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import select

from mesh import clock, ids
from mesh.errors import CloudError
from mesh.tables import requests
from services.identity.tables import totp
from tests.services.identity.conftest import PASSWORD, Cloud, Person, Scope, password_login
from tests.services.identity.delegating import credential, program
from tests.services.identity.test_login import reason
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1 import totp_service_pb2 as pb
from weft.identity.v1 import user_service_pb2 as user_pb
from weft.identity.v1.totp_service_pb2_grpc import TotpServiceStub

GET_TOKEN = token_pb.GetTokenRequest()


class Time:
    """A clock that goes on when it is told to: each code is good once."""

    def __init__(self) -> None:
        self.now = clock.now()

    def on(self, seconds: float = 30) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture
def time():
    """The clock of the test."""
    found = Time()
    with clock.told_by(lambda: found.now):
        yield found


def devices(person: Person) -> TotpServiceStub:
    """The devices as this person sees them."""
    return person.client.stub(TotpServiceStub)


def code(device: pb.Totp, steps: int = 0) -> str:
    """What the device shows now, or so many steps later."""
    maker = TOTP(base64.b32decode(device.secret), 6, SHA1(), 30)
    return maker.generate(int(clock.now().timestamp()) + 30 * steps).decode()


async def enrolled(person: Person, time: Time) -> pb.Totp:
    """A device of this person's that is confirmed."""
    id = person.info.user_id
    device = await devices(person).CreateTotp(pb.CreateTotpRequest(user_id=id, password=PASSWORD))
    await devices(person).ConfirmTotp(pb.ConfirmTotpRequest(user_id=id, totp_code=code(device)))
    time.on()
    return device


def with_code(totp_code: str, name: str = "ann", **more) -> token_pb.CreateTokenRequest:
    """A login by password and code."""
    request = password_login(name, **more)
    request.totp_code = totp_code
    return request


async def receipt(world: Cloud, name: str = "ann") -> str:
    """The receipt for a right password."""
    with pytest.raises(CloudError) as caught:
        await world.login(name)
    assert caught.value.reason == "SECOND_FACTOR_REQUIRED"
    return caught.value.metadata["receipt"]


def by_receipt(given: str, totp_code: str) -> token_pb.CreateTokenRequest:
    """A login by receipt and code."""
    said = token_pb.ReceiptCredential(receipt=given)
    return token_pb.CreateTokenRequest(receipt=said, totp_code=totp_code)


async def test_a_password_alone_is_not_enough_once_a_device_is_confirmed(either: Cloud, time: Time) -> None:
    ann, project = await either.member("ann")
    id, anybody = ann.info.user_id, either.nobody().tokens
    device = await devices(ann).CreateTotp(pb.CreateTotpRequest(user_id=id, password=PASSWORD))
    assert f"secret={device.secret}" in device.uri
    await either.login("ann")  # nothing is asked for before it has shown to work
    wrong = pb.ConfirmTotpRequest(user_id=id, totp_code=code(device, 5))
    assert await reason(devices(ann).ConfirmTotp(wrong)) == "UNAUTHENTICATED"
    right = pb.ConfirmTotpRequest(user_id=id, totp_code=code(device))
    assert (await devices(ann).ConfirmTotp(right)).confirmed
    time.on()
    scope = Scope(project_id=project.id)
    answer = await anybody.CreateToken(with_code(code(device), scope=scope))
    assert (answer.info.project_id, list(answer.info.methods)) == (project.id, ["password", "totp"])
    given = await receipt(either)
    time.on()
    answer = await anybody.CreateToken(by_receipt(given, code(device)))
    assert list((await either.bearer(answer).tokens.GetToken(GET_TOKEN)).methods) == ["password", "totp"]


async def test_a_code_is_good_once_and_near_its_time(world: Cloud, time: Time) -> None:
    ann, _ = await world.member("ann")
    device, anybody = await enrolled(ann, time), world.nobody().tokens
    given, shown = await receipt(world), code(device)
    await anybody.CreateToken(by_receipt(given, shown))
    for used in (shown, code(device, -1)):
        assert await reason(anybody.CreateToken(by_receipt(given, used))) == "UNAUTHENTICATED"
        assert await reason(anybody.CreateToken(with_code(used))) == "UNAUTHENTICATED"
    time.on(120)
    for steps in (-2, 2):
        assert await reason(anybody.CreateToken(with_code(code(device, steps)))) == "UNAUTHENTICATED"
        time.on(120)
    for steps in (-1, 1):
        await anybody.CreateToken(with_code(code(device, steps)))
        time.on(120)


async def test_the_code_says_nothing_about_the_password(world: Cloud, time: Time) -> None:
    ann, _ = await world.member("ann")
    await world.member("bob")
    device, anybody = await enrolled(ann, time), world.nobody().tokens
    answers = []
    for request in (
        with_code(code(device), password="wrong"),
        with_code("000000", password="wrong"),
        with_code(code(device), name="nobody"),
        password_login("ann", password="wrong"),
        with_code(code(device, 7)),
    ):
        with pytest.raises(CloudError) as caught:
            await anybody.CreateToken(request)
        answers.append((caught.value.reason, caught.value.message, tuple(caught.value.metadata)))
    assert len(set(answers)) == 1
    assert answers[0][0] == "UNAUTHENTICATED"
    await anybody.CreateToken(with_code(code(device)))
    assert (await world.login("bob")).info.user_name == "bob"


async def test_guesses_are_slowed_and_a_right_password_forgives_none(world: Cloud, time: Time) -> None:
    ann, _ = await world.member("ann")
    device, anybody = await enrolled(ann, time), world.nobody().tokens
    known = (("x-forwarded-for", "192.0.2.8"),)
    for _ in range(5):
        wrong = anybody.CreateToken(with_code(code(device, 9)))
        assert await reason(wrong) == "UNAUTHENTICATED"
        await receipt(world)
    for request in (with_code(code(device)), by_receipt(await receipt(world), code(device))):
        assert await reason(anybody.CreateToken(request)) == "TOO_MANY_ATTEMPTS"
    await anybody.CreateToken(with_code(code(device)), metadata=known)
    time.on(61)
    await anybody.CreateToken(with_code(code(device)))


async def test_a_receipt_is_no_token_and_ends_soon_or_with_the_password(world: Cloud, time: Time) -> None:
    ann, _ = await world.member("ann")
    device, anybody = await enrolled(ann, time), world.nobody().tokens
    given = await receipt(world)
    holder = Person(world.client(token=given))
    assert await reason(holder.tokens.GetToken(GET_TOKEN)) == "UNAUTHENTICATED"
    exchange = token_pb.CreateTokenRequest(token=token_pb.TokenCredential(token=given))
    assert await reason(anybody.CreateToken(exchange)) == "UNAUTHENTICATED"
    kid = {"kid": jwt.get_unverified_header(given)["kid"]}
    said = jwt.decode(given, options={"verify_signature": False})
    forged = jwt.encode(said, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=kid)
    for wrong in (ann.token, forged, given[:-8] + "AAAAAAAA", "x", given + "."):
        assert await reason(anybody.CreateToken(by_receipt(wrong, code(device)))) == "UNAUTHENTICATED"
    assert await reason(anybody.CreateToken(by_receipt(given, ""))) == "INVALID_ARGUMENT"
    await anybody.CreateToken(by_receipt(given, code(device)))
    time.on(300)
    assert await reason(anybody.CreateToken(by_receipt(given, code(device)))) == "UNAUTHENTICATED"
    given = await receipt(world)
    time.on(1)
    change = user_pb.SetPasswordRequest(id=ann.info.user_id, password="another one")
    await (await world.admin()).users.SetPassword(change)
    assert await reason(anybody.CreateToken(by_receipt(given, code(device)))) == "UNAUTHENTICATED"
    await anybody.CreateToken(with_code(code(device), password="another one"))


async def test_an_administrator_asks_for_it_and_whoever_has_no_device_stays_out(
    world: Cloud, time: Time
) -> None:
    ann, _ = await world.member("ann")
    admin, id = await world.admin(), ann.info.user_id
    must = user_pb.UpdateUserRequest(id=id, user={"second_factor_required": True})
    must.update_mask.paths.append("second_factor_required")
    time.on(1)
    assert (await admin.users.UpdateUser(must)).second_factor_required
    assert await reason(ann.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    given = await receipt(world)
    for request in (with_code("123456"), by_receipt(given, "123456")):
        assert await reason(world.nobody().tokens.CreateToken(request)) == "UNAUTHENTICATED"
    device = await devices(admin).CreateTotp(pb.CreateTotpRequest(user_id=id))
    confirm = pb.ConfirmTotpRequest(user_id=id, totp_code=code(device))
    await devices(admin).ConfirmTotp(confirm)
    time.on()
    await world.nobody().tokens.CreateToken(with_code(code(device)))
    change = token_pb.ChangePasswordRequest(user=password_login("ann").password, password="another one")
    assert await reason(world.nobody().tokens.ChangePassword(change)) == "INVALID_ARGUMENT"
    time.on()
    change.totp_code = code(device)
    await world.nobody().tokens.ChangePassword(change)


async def test_a_stolen_token_neither_gives_nor_takes_a_device(world: Cloud, time: Time) -> None:
    ann, _ = await world.member("ann")
    carl, _ = await world.member("carl", "admin")
    id = ann.info.user_id
    robot = await program(world, await credential(ann, unrestricted=False))
    make = pb.CreateTotpRequest(user_id=id, password=PASSWORD)
    assert await reason(devices(ann).CreateTotp(pb.CreateTotpRequest(user_id=id))) == "INVALID_ARGUMENT"
    guess = pb.CreateTotpRequest(user_id=id, password="wrong")
    assert await reason(devices(ann).CreateTotp(guess)) == "UNAUTHENTICATED"
    assert await reason(devices(robot).CreateTotp(make)) == "PERMISSION_DENIED"
    device = await enrolled(ann, time)
    assert await reason(devices(ann).CreateTotp(make)) == "ALREADY_EXISTS"
    for person, expected in ((ann, "INVALID_ARGUMENT"), (robot, "PERMISSION_DENIED"), (carl, "NOT_FOUND")):
        assert await reason(devices(person).DeleteTotp(pb.DeleteTotpRequest(user_id=id))) == expected
    wrong = pb.DeleteTotpRequest(user_id=id, totp_code=code(device, 9))
    assert await reason(devices(ann).DeleteTotp(wrong)) == "UNAUTHENTICATED"
    assert await reason(devices(carl).GetTotp(pb.GetTotpRequest(user_id=id))) == "NOT_FOUND"
    assert (await devices(ann).GetTotp(pb.GetTotpRequest(user_id=id))).secret == ""
    await devices(ann).DeleteTotp(pb.DeleteTotpRequest(user_id=id, totp_code=code(device)))
    assert (await world.login("ann")).info.user_id == id


async def test_the_secret_is_told_once_and_sealed(either: Cloud, time: Time) -> None:
    ann, _ = await either.member("ann")
    make = pb.CreateTotpRequest(user_id=ann.info.user_id, password=PASSWORD, request_id=ids.new())
    device = await devices(ann).CreateTotp(make)
    assert (await devices(ann).CreateTotp(make)).secret == ""
    raw = base64.b32decode(device.secret)

    def stored(connection) -> list[str]:
        return [str(row) for table in (totp, requests) for row in connection.execute(select(table))]

    rows = await either.runtime.database.read(stored)
    assert len(rows) >= 2
    assert not any(device.secret in row or str(raw)[2:-1] in row for row in rows)
