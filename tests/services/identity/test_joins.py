"""How a machine becomes a host: once, by a token, for itself alone; and how it stops being one."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.protobuf.duration_pb2 import Duration

from mesh import clock, ids, peer
from mesh.certificates import Identity, new_key, pem
from mesh.channel import Client, connect
from mesh.errors import CloudError
from mesh.joining import JoinToken
from services.identity import slowdown
from services.identity.store import joins
from tests.services.identity.conftest import Cloud, Person
from weft.identity.v1 import join_service_pb2 as pb
from weft.identity.v1 import key_service_pb2
from weft.identity.v1.join_service_pb2_grpc import JoinServiceStub, JoinTokenServiceStub
from weft.identity.v1.key_service_pb2_grpc import KeyServiceStub


def csr(key: Any, *names: x509.GeneralName) -> bytes:
    """A request for a certificate."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def new_token(world: Cloud, **more: Any) -> tuple[pb.JoinToken, JoinToken]:
    """A join token, and what its text says."""
    admin = await world.admin()
    made = await admin.client.stub(JoinTokenServiceStub).CreateJoinToken(
        pb.CreateJoinTokenRequest(**{"name": "h", "address": "cloud.example:7800", **more})
    )
    return made.join_token, JoinToken.read(made.text)


async def join(world: Cloud, token: JoinToken, key: Any, **changed: Any) -> bytes:
    """The certificate that a machine with this key gets."""
    asked = {"host_id": token.host_id, "secret": token.secret, "csr": csr(key), **changed}
    return (await world.nobody().client.stub(JoinServiceStub).Join(pb.JoinRequest(**asked))).certificate


class Host:
    """A machine that joined, as it calls identity."""

    def __init__(self, world: Cloud, folder: Path, key: Any, certificate: bytes) -> None:
        self.world, self.key = world, key
        folder.mkdir(exist_ok=True)
        self.certificate_path, self.key_path = folder / "host.crt", folder / "host.key"
        self.certificate_path.write_bytes(certificate)
        self.key_path.write_bytes(pem(key))

    def client(self) -> Client:
        """A connection with the host's certificate."""
        leaf = self.world.runtime.authority.issue(Identity.gateway())
        pair = type(leaf.pair())(self.key_path.read_bytes(), self.certificate_path.read_bytes(), 1e12)
        leaf.pair = lambda: pair  # type: ignore[method-assign]
        name = Identity.service("identity").dns
        ca = self.world.runtime.authority.directory / "ca.crt"
        made = connect(self.world.runtime.service.address, ca, leaf=leaf, server_name=name)
        self.world.clients.append(made)
        return made

    async def renew(self, host_id: str, key: Any = None) -> bytes:
        """The next certificate."""
        request = pb.RenewCertificateRequest(host_id=host_id, csr=csr(key or self.key))
        return (await self.client().stub(JoinServiceStub).RenewCertificate(request)).certificate


async def joined(world: Cloud, folder: Path, **more: Any) -> tuple[pb.JoinToken, Host]:
    """A host that joined, and the token by which it did."""
    made, token = await new_token(world, **more)
    key = new_key()
    return made, Host(world, folder, key, await join(world, token, key))


async def refused(call: Any) -> tuple[str, str]:
    """Reason and cause of a refusal."""
    with pytest.raises(CloudError) as error:
        await call
    return error.value.reason, error.value.metadata.get("cause", "")


async def test_a_token_gives_one_certificate_for_the_host_that_it_is_for(either: Cloud) -> None:
    made, token = await new_token(either)
    assert (token.address, token.host_id) == ("cloud.example:7800", made.host_id)
    assert token.ca_pem == either.runtime.authority.ca_pem
    key = new_key()
    certificate = x509.load_pem_x509_certificate(await join(either, token, key))
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(token.ca_pem))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {
        f"spiffe://weft/node/{made.host_id}",
        f"{made.host_id}.node.weft.internal",
        peer.JOIN + made.id,
    }
    assert certificate.public_key() == key.public_key()
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert await refused(join(either, token, new_key())) == ("JOIN_REFUSED", "used")
    again = x509.load_pem_x509_certificate(await join(either, token, key))  # the answer was lost
    assert again.public_key() == key.public_key()


async def test_what_is_kept_of_a_token_does_not_let_anybody_join(world: Cloud) -> None:
    made, token = await new_token(world, request_id=(request_id := ids.new()))
    admin = await world.admin()
    stub = admin.client.stub(JoinTokenServiceStub)
    replay = await stub.CreateJoinToken(
        pb.CreateJoinTokenRequest(name="h", address="cloud.example:7800", request_id=request_id)
    )
    assert (replay.join_token.id, replay.text) == (made.id, "")
    for path in world.runtime.settings.state.glob("identity.db*"):
        assert token.secret.encode() not in path.read_bytes()


async def test_a_wrong_secret_says_nothing_and_guessing_is_slowed(world: Cloud) -> None:
    _, token = await new_token(world)
    for _ in range(slowdown.FREE):
        assert await refused(join(world, token, new_key(), secret="guess")) == ("UNAUTHENTICATED", "")
    assert (await refused(join(world, token, new_key())))[0] == "TOO_MANY_ATTEMPTS"
    unknown = JoinToken(ids.new(), token.secret, token.ca_pem, token.address)
    assert await refused(join(world, unknown, new_key())) == ("UNAUTHENTICATED", "")
    with clock.told_by(_later(timedelta(minutes=2))):
        await join(world, token, new_key())


def _later(by: timedelta) -> Callable[[], Any]:
    now = clock.now
    begun = now()
    return lambda: begun + by


async def test_a_token_is_good_for_its_time_alone(world: Cloud) -> None:
    made, token = await new_token(world, expires_in=Duration(seconds=60))
    admin = (await world.admin()).client.stub(JoinTokenServiceStub)
    with clock.told_by(_later(timedelta(seconds=61))):
        assert await refused(join(world, token, new_key())) == ("JOIN_REFUSED", "expired")
        shown = await admin.GetJoinToken(pb.GetJoinTokenRequest(id=made.id))
        assert shown.status == pb.JOIN_TOKEN_STATUS_EXPIRED
    await join(world, token, new_key())
    shown = await admin.GetJoinToken(pb.GetJoinTokenRequest(id=made.id))
    assert shown.status == pb.JOIN_TOKEN_STATUS_USED
    assert await refused(new_token(world, expires_in=Duration(seconds=8 * 86400))) == ("INVALID_ARGUMENT", "")


async def test_a_revoked_token_lets_nobody_join(world: Cloud) -> None:
    made, token = await new_token(world)
    admin = (await world.admin()).client.stub(JoinTokenServiceStub)
    await admin.RevokeJoinToken(pb.RevokeJoinTokenRequest(id=made.id))
    assert await refused(join(world, token, new_key())) == ("JOIN_REFUSED", "revoked")


@pytest.mark.parametrize("kind", ["another host", "a service", "broken", "another's key", "RSA", "P-384"])
async def test_a_request_that_asks_for_more_than_the_hosts_own_is_refused(world: Cloud, kind: str) -> None:
    _, token = await new_token(world)
    key, another = new_key(), ids.new()
    spoiled = bytearray(csr(key))
    spoiled[-1] ^= 1
    requests = {
        "another host": csr(key, x509.UniformResourceIdentifier(f"spiffe://weft/node/{another}")),
        "a service": csr(key, x509.DNSName("compute.weft.internal")),
        "broken": b"\x30\x03abc",
        "another's key": bytes(spoiled),
        "RSA": csr(rsa.generate_private_key(65537, 2048)),
        "P-384": csr(ec.generate_private_key(ec.SECP384R1())),
    }
    assert (await refused(join(world, token, key, csr=requests[kind])))[0] == "INVALID_ARGUMENT"
    own = x509.UniformResourceIdentifier(f"spiffe://weft/node/{token.host_id}")
    assert await join(world, token, key, csr=csr(key, own))  # and the token was not used up


async def test_a_host_renews_its_own_certificate_with_the_key_that_joined(
    world: Cloud, tmp_path: Path
) -> None:
    made, host = await joined(world, tmp_path)
    renewed = await host.renew(made.host_id)
    assert renewed != host.certificate_path.read_bytes()
    assert x509.load_pem_x509_certificate(renewed).public_key() == host.key.public_key()
    other, _ = await joined(world, tmp_path / "other")
    assert await refused(host.renew(other.host_id)) == ("PERMISSION_DENIED", "")
    assert (await refused(host.renew(made.host_id, new_key())))[0] == "JOIN_REFUSED"


async def test_a_host_whose_certificate_ended_gets_another_by_its_key(world: Cloud, tmp_path: Path) -> None:
    made, host = await joined(world, tmp_path)
    bare = JoinToken(made.host_id, "", b"", "")
    with clock.told_by(_later(timedelta(days=30))):
        renewed = await join(world, bare, host.key)
    assert x509.load_pem_x509_certificate(renewed).public_key() == host.key.public_key()
    assert await refused(join(world, bare, new_key())) == ("UNAUTHENTICATED", "")
    await _revoke(world, made.id)
    assert await refused(join(world, bare, host.key)) == ("UNAUTHENTICATED", "")


async def _revoke(world: Cloud, id: str) -> pb.JoinToken:
    admin: Person = await world.admin()
    return await admin.client.stub(JoinTokenServiceStub).RevokeJoinToken(pb.RevokeJoinTokenRequest(id=id))


async def test_a_revoked_host_is_refused_and_so_is_its_renewal(world: Cloud, tmp_path: Path) -> None:
    made, host = await joined(world, tmp_path)
    keys = host.client().stub(KeyServiceStub)
    watch = keys.WatchRevocations(key_service_pb2.WatchRevocationsRequest())
    assert (await anext(watch)).caught_up
    assert (await _revoke(world, made.id)).status == pb.JOIN_TOKEN_STATUS_REVOKED
    assert await refused(host.renew(made.host_id)) == ("JOIN_REFUSED", "revoked")
    async with asyncio.timeout(60):  # a stream that was open is not fed any more
        assert await refused(anext(watch)) == ("JOIN_REFUSED", "revoked")


async def test_a_host_that_joins_again_keeps_its_id_and_ends_what_it_had(
    world: Cloud, tmp_path: Path
) -> None:
    made, host = await joined(world, tmp_path)
    await host.renew(made.host_id)
    again, anew = await joined(world, tmp_path / "again", host_id=made.host_id)
    assert again.host_id == made.host_id
    assert await refused(host.renew(made.host_id)) == ("JOIN_REFUSED", "revoked")
    await anew.renew(made.host_id)
    admin = (await world.admin()).client.stub(JoinTokenServiceStub)
    listed = (await admin.ListJoinTokens(pb.ListJoinTokensRequest(host_id=made.host_id))).join_tokens
    assert [(token.id, token.status) for token in listed] == [
        (made.id, pb.JOIN_TOKEN_STATUS_REVOKED),
        (again.id, pb.JOIN_TOKEN_STATUS_USED),
    ]


async def test_tokens_that_nobody_used_are_forgotten_and_joins_are_not(world: Cloud, tmp_path: Path) -> None:
    used, host = await joined(world, tmp_path)
    unused, _ = await new_token(world)
    database = world.runtime.database
    assert await database.write(joins.forget) == 0
    with clock.told_by(_later(timedelta(days=31, hours=2))):
        assert await database.write(joins.forget) == 1
    await host.renew(used.host_id)
    admin = (await world.admin()).client.stub(JoinTokenServiceStub)
    assert await refused(admin.GetJoinToken(pb.GetJoinTokenRequest(id=unused.id))) == ("NOT_FOUND", "")


async def test_a_token_must_say_where_the_gateway_is(world: Cloud) -> None:
    assert await refused(new_token(world, address="0.0.0.0:7800")) == ("INVALID_ARGUMENT", "")
    _, token = await new_token(world, address="")
    assert token.address == world.runtime.settings.gateway.address
