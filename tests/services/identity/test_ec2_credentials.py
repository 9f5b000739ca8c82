"""EC2 credentials: logins by signed requests, here and through services."""

from datetime import timedelta
from pathlib import Path

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from sqlalchemy import select, update

from mesh import clock, ids
from mesh.database import Database
from mesh.errors import CloudError
from mesh.settings import SettingsError
from mesh.tables import requests
from services.identity.sealing import Seal, Unreadable
from services.identity.tables import delegations
from tests.services.identity.conftest import Cloud, Person, Scope
from tests.services.identity.delegating import credential, credentials, program, trust
from tests.services.identity.test_login import reason
from weft.identity.v1 import application_credential_service_pb2 as credential_pb
from weft.identity.v1 import ec2_credential_service_pb2 as pb
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1.ec2_credential_service_pb2_grpc import Ec2CredentialServiceStub

GET_TOKEN = token_pb.GetTokenRequest()


def keys(person: Person) -> Ec2CredentialServiceStub:
    """The EC2 credentials as this person sees them."""
    return person.client.stub(Ec2CredentialServiceStub)


async def key(person: Person, **more) -> pb.Ec2Credential:
    """A new EC2 credential of this person's."""
    return await keys(person).CreateEc2Credential(pb.CreateEc2CredentialRequest(**more))


def signed(access_key: str, secret: str, service: str = "s3", signer=auth.S3SigV4Auth) -> token_pb.SignedHttp:
    """A request as an S3 client signs and sends it."""
    request = AWSRequest("GET", "https://objects.example.org/bucket")
    signer(Credentials(access_key, secret), service, "RegionOne").add_auth(request)
    headers = {"host": "objects.example.org", **request.headers}
    return token_pb.SignedHttp(
        method="GET",
        path="/bucket",
        query=request.url.partition("?")[2],
        headers=[token_pb.HttpHeader(name=name, value=value) for name, value in headers.items()],
    )


async def received(world: Cloud, said: token_pb.SignedHttp) -> Person:
    """Who signed the request that a service received."""
    request = pb.CreateSignedTokenRequest(signed=said)
    return world.bearer(await keys(world.service("object")).CreateSignedToken(request))


async def own(world: Cloud, made: pb.Ec2Credential, scope=None, service: str = "weft") -> Person:
    """Who logs in by a signature."""
    said = signed(made.access_key, made.secret, service, auth.SigV4Auth)
    request = token_pb.CreateTokenRequest(signed=said, scope=scope)
    return world.bearer(await world.nobody().tokens.CreateToken(request))


async def test_a_service_gets_a_token_for_who_signed_what_it_received(either: Cloud) -> None:
    ann, project = await either.member("ann", "manager")
    made = await key(ann, roles=["member"])
    for signer in (auth.S3SigV4Auth, auth.S3SigV4QueryAuth):
        client = await received(either, signed(made.access_key, made.secret, signer=signer))
        said = await client.tokens.GetToken(GET_TOKEN)
        assert (said.user_id, said.project_id) == (ann.info.user_id, project.id)
        assert (set(said.roles), list(said.methods)) == ({"member", "reader"}, ["ec2_signature"])
    await keys(ann).DeleteEc2Credential(pb.DeleteEc2CredentialRequest(id=made.id))
    assert await reason(client.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    again = received(either, signed(made.access_key, made.secret))
    assert await reason(again) == "UNAUTHENTICATED"


async def test_every_wrong_signature_gets_the_same_answer(world: Cloud) -> None:
    ann, _ = await world.member("ann")
    made = await key(ann)
    robot = await credential(ann)
    good = signed(made.access_key, made.secret)
    answers = []
    late = clock.now() + timedelta(minutes=16)
    for said, moment in (
        (signed(made.access_key, "wrong"), clock.now()),
        (signed(ids.new().replace("-", ""), made.secret), clock.now()),
        (signed("no-key-of-anybody", made.secret), clock.now()),
        (signed(robot.id.replace("-", ""), robot.secret), clock.now()),
        (signed(made.access_key, made.secret, "weft"), clock.now()),
        (good, late),
    ):
        with clock.told_by(lambda at=moment: at), pytest.raises(CloudError) as caught:
            await received(world, said)
        answers.append((caught.value.reason, caught.value.message, tuple(caught.value.metadata)))
    assert len(set(answers)) == 1
    assert answers[0][0] == "UNAUTHENTICATED"
    assert (await received(world, good)).info.user_id == ann.info.user_id
    good.headers.add(name="authorization", value="AWS key:signature")
    assert await reason(received(world, good)) == "INVALID_ARGUMENT"


async def test_nobody_but_a_service_turns_anothers_signed_request_into_a_token(world: Cloud) -> None:
    ann, _ = await world.member("ann")
    made = await key(ann)
    said = signed(made.access_key, made.secret)
    request = pb.CreateSignedTokenRequest(signed=said)
    for somebody in (ann, await world.admin()):
        assert await reason(keys(somebody).CreateSignedToken(request)) == "AUDIENCE_REFUSED"
    assert await reason(keys(world.nobody()).CreateSignedToken(request)) == "UNAUTHENTICATED"
    url = signed(made.access_key, made.secret, signer=auth.S3SigV4QueryAuth)
    for each in (said, url, signed(made.access_key, made.secret, "weft", auth.SigV4QueryAuth)):
        login = world.nobody().tokens.CreateToken(token_pb.CreateTokenRequest(signed=each))
        assert await reason(login) == "UNAUTHENTICATED"
    assert (await received(world, said)).info.user_id == ann.info.user_id


async def test_a_request_signed_for_us_is_a_login_to_the_keys_project_for_five_minutes(world: Cloud) -> None:
    ann, project = await world.member("ann")
    other = await world.project("another of ann's")
    await world.grant(ann.info.user_id, "member", project_id=other.id)
    made = await key(ann)
    assert (await own(world, made)).info.project_id == project.id
    assert (await own(world, made, Scope(project_id=project.id))).info.project_id == project.id
    assert await reason(own(world, made, Scope(project_id=other.id))) == "UNAUTHENTICATED"
    assert await reason(own(world, made, service="ec2")) == "UNAUTHENTICATED"
    said = token_pb.CreateTokenRequest(signed=signed(made.access_key, made.secret, "weft", auth.SigV4Auth))
    await world.nobody().tokens.CreateToken(said)
    late = clock.now() + timedelta(minutes=6)
    with clock.told_by(lambda: late):
        assert await reason(world.nobody().tokens.CreateToken(said)) == "UNAUTHENTICATED"


async def test_one_that_a_program_made_ends_with_the_programs_own(either: Cloud) -> None:
    ann, _ = await either.member("ann", "manager")
    made = await credential(ann, unrestricted=True, roles=["reader"])
    free = await program(either, made)
    of_program = await key(free)
    client = await received(either, signed(of_program.access_key, of_program.secret))
    assert list(client.info.roles) == ["reader"]
    for call in (key(client), credential(client, "more"), trust(client, ann.info.user_id)):
        assert await reason(call) == "PERMISSION_DENIED"
    gone = credential_pb.DeleteApplicationCredentialRequest(id=made.id)
    await credentials(ann).DeleteApplicationCredential(gone)
    assert await reason(client.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    assert (
        await reason(received(either, signed(of_program.access_key, of_program.secret))) == "UNAUTHENTICATED"
    )


async def test_strangers_see_nothing_of_it(world: Cloud) -> None:
    ann, _ = await world.member("ann")
    carl, _ = await world.member("carl", "admin")
    made = await key(ann)
    for id in (made.id, ids.new()):
        assert await reason(keys(carl).GetEc2Credential(pb.GetEc2CredentialRequest(id=id))) == "NOT_FOUND"
        end = pb.DeleteEc2CredentialRequest(id=id)
        assert await reason(keys(carl).DeleteEc2Credential(end)) == "NOT_FOUND"
    assert (await keys(carl).ListEc2Credentials(pb.ListEc2CredentialsRequest())).ec2_credentials == []
    mine = await keys(ann).ListEc2Credentials(pb.ListEc2CredentialsRequest())
    assert [(one.id, one.secret) for one in mine.ec2_credentials] == [(made.id, "")]
    assert (await keys(ann).GetEc2Credential(pb.GetEc2CredentialRequest(id=made.id))).id == made.id


async def _rows(database: Database, table) -> list:
    return await database.read(lambda connection: connection.execute(select(table)).all())


async def test_the_secret_is_told_once_and_sealed_to_its_row(either: Cloud) -> None:
    ann, _ = await either.member("ann")
    request_id, database = ids.new(), either.runtime.database
    made, other = await key(ann, request_id=request_id), await key(ann)
    again = await key(ann, request_id=request_id)
    assert (again.id, again.secret) == (made.id, "")
    stored = [*await _rows(database, delegations), *await _rows(database, requests)]
    assert not any(made.secret in str(row) for row in stored)
    sealed = {row.id: row.secret for row in stored if hasattr(row, "secret")}

    def swap(connection) -> None:
        swapped = update(delegations).where(delegations.c.id == made.id)
        connection.execute(swapped.values(secret=sealed[other.id]))

    assert (await received(either, signed(made.access_key, made.secret))).info.user_id == ann.info.user_id
    await database.write(swap)
    assert await reason(received(either, signed(made.access_key, other.secret))) == "INTERNAL"


def test_a_seal_opens_only_its_own_and_its_key_is_nobodys_business(tmp_path: Path) -> None:
    file = tmp_path / "identity" / "sealing.key"
    seal = Seal(file)
    sealed = seal.close(b"secret", "this")
    assert Seal(file).open(sealed, "this") == b"secret"
    assert seal.close(b"secret", "this") != sealed
    for other, owner in ((seal, "that"), (Seal(tmp_path / "another.key"), "this")):
        with pytest.raises(Unreadable):
            other.open(sealed, owner)
    assert [path.name for path in file.parent.iterdir()] == ["sealing.key"]
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="others may read"):
        Seal(file)
    file.chmod(0o600)
    file.write_bytes(b"short")
    with pytest.raises(SettingsError, match="no key"):
        Seal(file)
