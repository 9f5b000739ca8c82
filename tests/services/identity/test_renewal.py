"""A host's certificate is renewed while it works: no call fails, nothing restarts."""

import asyncio
from pathlib import Path

import pytest
from cryptography import x509

from mesh import joining
from mesh.certificates import Pair
from mesh.channel import Peers
from mesh.errors import CloudError
from mesh.holder import Holder, NotJoined
from tests.joined import joined
from tests.services.harness import until
from tests.services.identity.conftest import Cloud
from tests.services.identity.test_joins import csr, new_token
from weft.identity.v1 import join_service_pb2 as pb
from weft.identity.v1 import key_service_pb2
from weft.identity.v1.join_service_pb2_grpc import JoinServiceStub, JoinTokenServiceStub
from weft.identity.v1.key_service_pb2_grpc import KeyServiceStub


@pytest.fixture
async def holder(world: Cloud, tmp_path: Path) -> Holder:
    """The certificate of a host that joined."""
    _, token = await new_token(world)
    joined(tmp_path, world.runtime.authority, token.host_id)
    found = Holder(joining.directory(tmp_path), token.host_id)
    request = pb.JoinRequest(host_id=token.host_id, secret=token.secret, csr=found.request())
    found.take((await world.nobody().client.stub(JoinServiceStub).Join(request)).certificate)
    return found


def make_due(holder: Holder) -> None:
    """As if two thirds of its life had passed."""
    pair = holder.pair()
    holder._pair = Pair(pair.key, pair.chain, renew_at=0.0)


async def test_it_is_renewed_under_traffic(
    world: Cloud, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "EVERY", 0.02)
    peers = Peers(world.runtime.settings, holder)
    keys = peers.stub(KeyServiceStub, service="identity")
    watch = aiter(keys.WatchRevocations(key_service_pb2.WatchRevocationsRequest()))
    assert (await anext(watch)).caught_up
    keeping = asyncio.create_task(joining.kept_current(holder, peers)())
    for _ in range(3):
        before = holder.pair()
        make_due(holder)

        async def renewed(before: Pair = before) -> bool:
            await keys.ListKeys(key_service_pb2.ListKeysRequest())
            return holder.pair().chain != before.chain

        await until(renewed, 60)
        assert holder.pair().key == before.key
    made = await new_token(world)  # the stream that began with the first certificate goes on
    await _revoke(world, made[0].id)
    keeping.cancel()
    await watch.aclose()
    await peers.close()
    assert Holder(holder.directory, _id(holder)).pair().chain == holder.pair().chain


async def test_while_identity_says_no_the_certificate_stays_as_it_is(
    world: Cloud, holder: Holder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(joining, "EVERY", 0.02)
    peers = Peers(world.runtime.settings, holder)
    admin = (await world.admin()).client.stub(JoinTokenServiceStub)
    found = (await admin.ListJoinTokens(pb.ListJoinTokensRequest(host_id=_id(holder)))).join_tokens
    await _revoke(world, found[0].id)
    before = holder.pair().chain
    make_due(holder)
    keeping = asyncio.create_task(joining.kept_current(holder, peers)())

    async def refused() -> bool:
        return "was revoked" in caplog.text

    await until(refused, 60)
    assert holder.pair().chain == before
    keeping.cancel()
    await peers.close()


async def _revoke(world: Cloud, id: str) -> None:
    admin = (await world.admin()).client.stub(JoinTokenServiceStub)
    await admin.RevokeJoinToken(pb.RevokeJoinTokenRequest(id=id))


def _id(holder: Holder) -> str:
    return holder.identity.path.removeprefix("node/")


async def test_a_certificate_that_another_process_put_there_is_taken(world: Cloud, holder: Holder) -> None:
    beside = Holder(holder.directory, _id(holder))
    key = x509.load_der_x509_csr(holder.request()).public_key()
    beside.take(world.runtime.authority.sign(key, holder.identity))  # type: ignore[arg-type]
    assert holder.pair().chain != beside.pair().chain
    holder.look()
    assert holder.pair().chain == beside.pair().chain


def test_a_certificate_for_another_key_is_not_kept(world: Cloud, holder: Holder) -> None:
    from mesh.certificates import new_key

    before = holder.pair()
    stray = world.runtime.authority.sign(new_key().public_key(), holder.identity)
    with pytest.raises(ValueError, match="another key"):
        holder.take(stray)
    assert holder.pair() is before


def test_where_there_is_no_certificate_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(NotJoined, match="weft node join"):
        Holder(tmp_path, "11111111-1111-4111-8111-111111111111")


@pytest.mark.parametrize("text", ["", "weft-join-1.", "weft-join-1.AAAA", "eyJhbGciOiJub25lIn0", "\x00é"])
def test_what_is_no_join_token_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="no join token"):
        joining.JoinToken.read(text)


async def test_a_joined_host_that_asks_for_another_key_is_refused(world: Cloud, holder: Holder) -> None:
    from mesh.certificates import new_key

    peers = Peers(world.runtime.settings, holder)
    stub = peers.stub(JoinServiceStub, service="identity")
    with pytest.raises(CloudError) as refusal:
        await stub.RenewCertificate(pb.RenewCertificateRequest(host_id=_id(holder), csr=csr(new_key())))
    assert refusal.value.reason == "JOIN_REFUSED"
    await peers.close()
