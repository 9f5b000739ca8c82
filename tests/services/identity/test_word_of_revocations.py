"""Word of a revocation: sent as it happens and not when somebody looks, and in force with the next call."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh import watch
from mesh.caller import Caller, Kind
from mesh.revocations import RemoteVerifier
from services.identity.api import keys as keys_api
from tests.services.identity.conftest import Cloud
from tests.services.identity.test_joins import _revoke, joined, refused
from weft.identity.v1 import key_service_pb2 as pb
from weft.identity.v1 import token_service_pb2 as token_pb


class Told(RemoteVerifier):
    """A process' verifier, and all that it was told by the stream, once it has taken it in."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud.runtime.peers)
        self.took: asyncio.Queue[pb.WatchRevocationsResponse] = asyncio.Queue()

    def _take(self, message: pb.WatchRevocationsResponse) -> None:
        super()._take(message)
        self.took.put_nowait(message)

    async def hears_of(self, token_id: str) -> None:
        """Wait for word of it."""
        async with asyncio.timeout(60):
            while (await self.took.get()).revocation.token_id != token_id:
                pass


@pytest.fixture
async def verifier(world: Cloud, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    """One that follows, in a cloud where nobody looks for news within the hour: they come by themselves."""
    monkeypatch.setattr(watch, "POLL", 3600.0)
    monkeypatch.setattr(keys_api, "HEARTBEAT", 3600.0)
    monkeypatch.setattr("mesh.revocations.SILENCE", 3600.0)
    found = Told(world)
    await found.verify((await world.admin()).token)
    async with asyncio.timeout(60):
        while not (await found.took.get()).caught_up:
            pass
    yield found
    await found.close()


async def test_a_revoked_host_is_refused_at_its_next_call(
    world: Cloud, verifier: Told, tmp_path: Path
) -> None:
    (gone, _), (stays, _) = await joined(world, tmp_path / "a"), await joined(world, tmp_path / "b")
    one, other = (Caller(kind=Kind.NODE, host_id=each.host_id, token_id=each.id) for each in (gone, stays))
    await verifier.standing(one)
    await _revoke(world, gone.id)
    await verifier.hears_of(gone.id)
    assert await refused(verifier.standing(one)) == ("JOIN_REFUSED", "revoked")
    await verifier.standing(other)


async def test_a_revoked_token_is_refused_at_the_next_call_with_it(world: Cloud, verifier: Told) -> None:
    ann, _ = await world.member("ann")
    bob, _ = await world.member("bob")
    assert (await verifier.verify(ann.token)).user_name == "ann"
    await ann.tokens.RevokeToken(token_pb.RevokeTokenRequest())
    await verifier.hears_of(ann.info.id)
    assert (await refused(verifier.verify(ann.token)))[0] == "TOKEN_REVOKED"
    assert (await verifier.verify(bob.token)).user_name == "bob"
