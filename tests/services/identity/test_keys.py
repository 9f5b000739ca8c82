"""How others check tokens: public keys, their rotation, and the stream of revocations."""

import asyncio
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from mesh import clock
from mesh.caller import Kind
from mesh.errors import CloudError
from mesh.revocations import RemoteVerifier
from mesh.settings import Settings, SettingsError
from services.identity.api import keys as keys_api
from services.identity.keys import PUBLISHED_AHEAD, SIGNING, KeyRing
from tests.services.identity.conftest import Cloud, running
from tests.services.identity.test_login import reason
from weft.identity.v1 import key_service_pb2 as pb
from weft.identity.v1 import token_service_pb2 as token_pb


def at(moment):
    """The clock stands there."""
    return clock.told_by(lambda: moment)


def test_a_key_is_published_before_it_signs_and_trusted_until_its_last_token_ends(tmp_path: Path) -> None:
    ring, begin = KeyRing(tmp_path / "keys"), clock.now()
    first = ring.signing()
    with at(begin + SIGNING - PUBLISHED_AHEAD + timedelta(minutes=1)):
        ring.renew()
        assert len(ring.all()) == 2
        assert ring.signing().kid == first.kid
    with at(begin + SIGNING + timedelta(minutes=1)):
        ring.renew()
        second = ring.signing()
        assert second.kid != first.kid
        assert ring.get(first.kid) is not None
    with at(begin + SIGNING + timedelta(hours=25)):
        ring.renew()
        assert [key.kid for key in ring.all()] == [second.kid]
        assert ring.get(first.kid) is None
    assert len(list((tmp_path / "keys").iterdir())) == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    (file,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KeyRing(tmp_path / "keys").signing().kid == ring.signing().kid
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="others may read"):
        KeyRing(tmp_path / "keys")


async def test_rotation_logs_nobody_out(world: Cloud) -> None:
    before = await world.admin()
    with at(clock.now() + SIGNING - timedelta(minutes=30)):
        early = await world.admin()
        keys = (await world.nobody().keys.ListKeys(pb.ListKeysRequest())).keys
        assert len(keys) == 2
    with at(clock.now() + SIGNING + timedelta(minutes=10)):
        late = await world.admin()
        await early.tokens.GetToken(token_pb.GetTokenRequest())
        await late.tokens.GetToken(token_pb.GetTokenRequest())
        assert await reason(before.tokens.GetToken(token_pb.GetTokenRequest())) == "TOKEN_EXPIRED"


async def until_refused(verifier: RemoteVerifier, token: str) -> str:
    """The reason that the token is refused with, once it is."""
    async with asyncio.timeout(5):
        while True:
            try:
                await verifier.verify(token)
            except CloudError as error:
                return error.reason
            await asyncio.sleep(0.01)


async def test_a_service_verifies_by_itself_and_hears_of_a_revocation_at_once(either: Cloud) -> None:
    person, project = await either.member("ann")
    verifier = RemoteVerifier(either.runtime.peers)
    try:
        caller = await verifier.verify(person.token)
        assert (caller.kind, caller.project_id, caller.user_name) == (Kind.USER, project.id, "ann")
        await person.tokens.RevokeToken(token_pb.RevokeTokenRequest())
        assert await until_refused(verifier, person.token) == "TOKEN_REVOKED"
    finally:
        await verifier.close()


async def test_the_stream_tells_what_is_in_force_then_that_it_has_then_what_is_new(
    world: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_api, "HEARTBEAT", 0.3)
    first, _ = await world.member("ann")
    second, _ = await world.member("bob")
    await first.tokens.RevokeToken(token_pb.RevokeTokenRequest())
    stream = world.service().keys.WatchRevocations(pb.WatchRevocationsRequest())
    async with asyncio.timeout(10):
        old = await anext(stream)
        assert old.revocation.token_id == first.info.id
        assert (await anext(stream)).caught_up
        await second.tokens.RevokeToken(token_pb.RevokeTokenRequest())
        new = await anext(stream)
        assert new.revocation.token_id == second.info.id
        assert new.revocation.revision > old.revocation.revision
        heartbeat = await anext(stream)
        assert not heartbeat.HasField("revocation")
    await stream.aclose()
    request = pb.WatchRevocationsRequest(from_revision=old.revocation.revision)
    again = world.service().keys.WatchRevocations(request)
    assert (await anext(again)).revocation.token_id == second.info.id
    await again.aclose()


async def test_revocations_and_checks_are_not_for_users(world: Cloud) -> None:
    person = await world.admin()
    check = pb.CheckTokenRequest(token=person.token)
    assert await reason(person.keys.CheckToken(check)) == "AUDIENCE_REFUSED"
    assert (
        await reason(anext(person.keys.WatchRevocations(pb.WatchRevocationsRequest()))) == "AUDIENCE_REFUSED"
    )
    assert (await world.service().keys.CheckToken(check)).id == person.info.id


async def test_a_restart_keeps_keys_passwords_and_revocations(cloud: Settings) -> None:
    async with running(cloud) as world:
        person, _ = await world.member("ann")
        revoked = await world.login("ann")
        await revoked.tokens.RevokeToken(token_pb.RevokeTokenRequest())
        password = world.admin_password
    async with running(cloud) as world:
        assert world.admin_password == password
        await world.admin()
        again = world.bearer(person.answer)
        assert (await again.tokens.GetToken(token_pb.GetTokenRequest())).user_name == "ann"
        gone = world.bearer(revoked.answer)
        assert await reason(gone.tokens.GetToken(token_pb.GetTokenRequest())) == "TOKEN_REVOKED"
