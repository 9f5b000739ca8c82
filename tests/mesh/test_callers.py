"""Who gets in, by token and by certificate, over real connections."""

import asyncio
import base64
import hmac
import json
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from grpc import aio

from mesh import caller, certificates, ids
from mesh.caller import Caller, Kind
from mesh.certificates import Authority, Identity
from mesh.channel import connect
from mesh.errors import CloudError
from tests.mesh.cloudlet import Cloudlet, Signer
from weft.compute.v1 import flavor_service_pb2, flavor_service_pb2_grpc


async def refused(little: Cloudlet, token: str | None, who: Identity | None = None) -> str:
    with pytest.raises(CloudError) as caught:
        await little.get_flavor(token, who)
    return caught.value.reason


async def test_a_good_token_makes_the_caller_that_it_names(little: Cloudlet) -> None:
    await little.get_flavor(little.signer.token())
    (seen,) = little.flavors.callers
    assert (seen.kind, seen.user_id, seen.project_id, seen.scope) == (
        Kind.USER,
        "user-1",
        "project-1",
        "project",
    )
    assert seen.roles == {"member", "reader"}
    assert seen.reach == "project-1"


def flipped(token: str, part: int) -> str:
    parts = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    raw[len(raw) // 2] ^= 1
    parts[part] = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    return ".".join(parts)


def unsigned(signer: Signer) -> str:
    return jwt.encode(signer.claims(), None, "none", {"kid": signer.kid})


def signed_with_the_public_key_as_a_secret(signer: Signer) -> str:
    """The classic confusion: HMAC with what everybody may know."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": signer.kid}).encode()).rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(signer.claims()).encode()).rstrip(b"=")
    mac = hmac.digest(signer.public(), header + b"." + body, "sha256")
    return b".".join((header, body, base64.urlsafe_b64encode(mac).rstrip(b"="))).decode()


HOSTILE: dict[str, Any] = {
    "empty": lambda s: " ",
    "garbage": lambda s: "garbage",
    "dots": lambda s: "...",
    "a flipped header": lambda s: flipped(s.token(), 0),
    "a flipped body": lambda s: flipped(s.token(), 1),
    "a flipped signature": lambda s: flipped(s.token(), 2),
    "cut short": lambda s: s.token()[:-10],
    "without a signature": lambda s: s.token().rpartition(".")[0] + ".",
    "algorithm none": unsigned,
    "algorithm HS256": signed_with_the_public_key_as_a_secret,
    "another's key": lambda s: Signer(s.kid).token(),
    "an unknown key id": lambda s: jwt.encode(s.claims(), s.key, "EdDSA", {"kid": "k9"}),
    "no key id": lambda s: jwt.encode(s.claims(), s.key, "EdDSA"),
    "a key id that is a path": lambda s: jwt.encode(s.claims(), s.key, "EdDSA", {"kid": "../" * 100}),
    "another audience": lambda s: s.token(aud="elsewhere"),
    "no audience": lambda s: s.token(aud=None),
    "no end": lambda s: s.token(exp=None),
    "no id": lambda s: s.token(jti=None),
    "no subject": lambda s: s.token(sub=None),
    "no scope": lambda s: s.token(scp=None),
    "roles that are no list": lambda s: s.token(rol=7),
    "roles that are numbers": lambda s: s.token(rol=[1]),
    "issued in the future": lambda s: s.token(iat=4e9),
    "nine thousand characters": lambda s: "x" * 9000,
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_token_never_passes_and_never_says_why(little: Cloudlet, kind: str) -> None:
    assert await refused(little, HOSTILE[kind](little.signer)) == "UNAUTHENTICATED"
    assert little.flavors.callers == []
    await little.get_flavor(little.signer.token())


async def test_a_token_of_a_megabyte_is_refused_and_the_next_call_works(little: Cloudlet) -> None:
    with pytest.raises(CloudError):
        await little.get_flavor("x" * 1_000_000)
    await little.get_flavor(little.signer.token())
    assert len(little.flavors.callers) == 1


async def test_an_expired_token_is_told_so(little: Cloudlet) -> None:
    assert await refused(little, little.signer.token(iat=1000, exp=2000)) == "TOKEN_EXPIRED"


async def test_without_a_token_only_what_is_public_may_be_called(little: Cloudlet) -> None:
    assert await refused(little, None) == "UNAUTHENTICATED"


@pytest.mark.parametrize("about", ["token_id", "user_id", "project_id", "domain_id"])
async def test_a_revocation_takes_effect_for_remembered_tokens(little: Cloudlet, about: str) -> None:
    token, bystander = little.signer.token(), little.signer.token(sub="user-2", prj="project-2", udm="other")
    await little.get_flavor(token)
    await little.get_flavor(bystander)
    claims = jwt.decode(token, options={"verify_signature": False})
    value = {"token_id": "jti", "user_id": "sub", "project_id": "prj", "domain_id": "udm"}[about]
    await little.keys.revoke(**{about: claims[value]})
    reason = ""
    for _ in range(100):  # the stream is another connection: the revocation is there in a moment
        try:
            await little.get_flavor(token)
        except CloudError as error:
            reason = error.reason
            break
    assert reason == "TOKEN_REVOKED"
    await little.get_flavor(bystander)
    if about != "token_id":
        await little.get_flavor(little.signer.token(iat=clock_after(little)))


def clock_after(little: Cloudlet) -> float:
    """A moment after the last revocation."""
    return little.keys.revocations[-1].issued_before.ToMicroseconds() / 1e6 + 0.001


async def test_while_the_stream_of_revocations_is_down_identity_is_asked(little: Cloudlet) -> None:
    little.keys.streaming = False
    await little.get_flavor(little.signer.token())
    assert little.keys.checked == 1
    revoked = little.signer.token()
    await little.keys.revoke(token_id=jwt.decode(revoked, options={"verify_signature": False})["jti"])
    assert await refused(little, revoked) == "TOKEN_REVOKED"


async def test_a_new_signing_key_is_fetched_when_a_token_names_it(little: Cloudlet) -> None:
    await little.get_flavor(little.signer.token())
    await asyncio.sleep(1.1)  # unknown keys are asked for once a second at most
    newer = Signer("k2")
    little.keys.signers.append(newer)
    await little.get_flavor(newer.token())
    await little.get_flavor(little.signer.token())


async def test_a_service_calls_on_its_own_account_or_for_somebody(little: Cloudlet) -> None:
    stub = little.runtimes["identity"].peers.stub(flavor_service_pb2_grpc.FlavorServiceStub, "compute")
    request = flavor_service_pb2.GetFlavorRequest(id=ids.new())
    await stub.GetFlavor(request)
    user = Caller(kind=Kind.USER, user_id="u", project_id="p", scope="project", roles=frozenset({"member"}))
    with caller.acting_as(user):
        await stub.GetFlavor(request)
    alone, acting = little.flavors.callers
    assert (alone.kind, alone.service, alone.reach) == (Kind.SERVICE, "identity", None)
    assert (acting.kind, acting.service, acting.reach, acting.user_id) == (
        Kind.SERVICE,
        "identity",
        "p",
        "u",
    )


@pytest.mark.parametrize("who", [Identity.gateway(), Identity.node("h1")], ids=["gateway", "node"])
async def test_nobody_but_a_service_is_believed_to_act_for_another(little: Cloudlet, who: Identity) -> None:
    forged = caller.encode(Caller(kind=Kind.USER, user_id="root", scope="system", roles=frozenset({"admin"})))
    async with little.client(who=who) as client:
        stub = client.stub(flavor_service_pb2_grpc.FlavorServiceStub)
        with pytest.raises(CloudError) as caught:
            await stub.GetFlavor(
                flavor_service_pb2.GetFlavorRequest(id=ids.new()),
                metadata=((caller.METADATA_KEY, forged),),
            )
    assert caught.value.reason in ("UNAUTHENTICATED", "AUDIENCE_REFUSED")
    assert little.flavors.callers == []


async def test_a_node_is_refused_what_is_meant_for_users(little: Cloudlet) -> None:
    assert await refused(little, None, Identity.node("h1")) == "AUDIENCE_REFUSED"
    assert await refused(little, little.signer.token(), Identity.node("h1")) == "AUDIENCE_REFUSED"


async def test_a_certificate_of_the_authority_with_no_role_in_the_cloud_is_refused(little: Cloudlet) -> None:
    who = Identity.server("edge", ["localhost"])
    assert await refused(little, little.signer.token(), who) == "UNAUTHENTICATED"


@pytest.mark.parametrize("name", ["weft", "other"])
async def test_a_certificate_of_another_authority_opens_no_connection(
    little: Cloudlet, tmp_path: Path, name: str
) -> None:
    foreign = Authority.open_or_create(tmp_path / "foreign", name).issue(Identity.service("compute"))
    credentials = grpc.ssl_channel_credentials(
        little.authority.ca_pem, foreign.pair().key, foreign.pair().chain
    )
    await _no_connection(little, credentials)


async def test_without_a_certificate_no_connection_opens(little: Cloudlet) -> None:
    await _no_connection(little, grpc.ssl_channel_credentials(little.authority.ca_pem))


async def _no_connection(little: Cloudlet, credentials: grpc.ChannelCredentials) -> None:
    address = little.settings.address("compute")
    options = (("grpc.ssl_target_name_override", "compute.weft.internal"),)
    async with aio.secure_channel(address, credentials, options=options) as channel:
        stub = flavor_service_pb2_grpc.FlavorServiceStub(channel)
        with pytest.raises(aio.AioRpcError) as caught:
            await stub.GetFlavor(flavor_service_pb2.GetFlavorRequest(id=ids.new()), timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await little.get_flavor(little.signer.token())


async def test_a_client_refuses_a_server_that_is_not_the_service_it_dialled(little: Cloudlet) -> None:
    client = connect(
        little.settings.address("compute"),
        little.authority.directory / "ca.crt",
        leaf=little.authority.issue(Identity.gateway()),
        server_name=Identity.service("identity").dns,
    )
    async with client:
        request = flavor_service_pb2.GetFlavorRequest(id=ids.new())
        with pytest.raises(CloudError) as caught:
            await client.stub(flavor_service_pb2_grpc.FlavorServiceStub).GetFlavor(request, timeout=2)
    assert caught.value.reason in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def test_the_authority_and_its_keys_are_readable_by_their_owner_alone(authority: Authority) -> None:
    leaf = authority.issue(Identity.service("compute"))
    for path in (authority.directory / "ca.key", leaf.key_path):
        assert path.stat().st_mode & 0o077 == 0
        serialization.load_pem_private_key(path.read_bytes(), None)


def test_a_leaf_is_kept_while_it_is_good_and_renewed_when_it_is_due(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = authority.issue(Identity.service("compute"))
    assert authority.issue(Identity.service("compute")).pair().chain == first.pair().chain
    monkeypatch.setattr(certificates, "LEAF_LIFE", certificates.LEAF_LIFE * 10)
    assert authority.issue(Identity.service("compute")).pair().chain != first.pair().chain
