"""Credentials of any type: secrets that are kept with users, those of EC2 among them."""

import json

import pytest
from sqlalchemy import select

from mesh import ids
from mesh.tables import requests
from services.identity.store import credentials as store
from services.identity.tables import credentials as kept_table
from tests.services.identity.conftest import SYSTEM, Cloud, Person, Scope
from tests.services.identity.delegating import credential as application_credential
from tests.services.identity.delegating import program
from tests.services.identity.test_ec2_credentials import GET_TOKEN, key, keys, received, signed
from tests.services.identity.test_login import reason
from weft.identity.v1 import credential_service_pb2 as pb
from weft.identity.v1 import ec2_credential_service_pb2 as ec2_pb
from weft.identity.v1.credential_service_pb2_grpc import CredentialServiceStub

EVERYBODYS = pb.ListCredentialsRequest(all_users=True)


def credentials(person: Person) -> CredentialServiceStub:
    """The credentials as this person sees them."""
    return person.client.stub(CredentialServiceStub)


async def kept(person: Person, blob: str, type: str = "certificate", **more) -> pb.Credential:
    """A new credential."""
    request = pb.CreateCredentialRequest(type=type, blob=blob, **more)
    return await credentials(person).CreateCredential(request)


async def changed(person: Person, id: str, blob: str, **more) -> pb.Credential:
    """A credential with another blob."""
    return await credentials(person).UpdateCredential(pb.UpdateCredentialRequest(id=id, blob=blob, **more))


async def shown(person: Person, id: str) -> pb.Credential:
    """A credential."""
    return await credentials(person).GetCredential(pb.GetCredentialRequest(id=id))


async def deleted(person: Person, id: str) -> None:
    """It is no more."""
    await credentials(person).DeleteCredential(pb.DeleteCredentialRequest(id=id))


async def listed(person: Person, **asked) -> list[str]:
    """Ids of credentials, in their order, page by page."""
    request, found = pb.ListCredentialsRequest(page_size=2, **asked), []
    while True:
        answer = await credentials(person).ListCredentials(request)
        found += [each.id for each in answer.credentials]
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


def pair(access: str, secret: str) -> str:
    """The blob of an EC2 credential."""
    return json.dumps({"access": access, "secret": secret})


async def test_a_secret_is_kept_shown_changed_and_forgotten(
    either: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, project = await either.member("ann")
    request_id, change_id = ids.new(), ids.new()
    made = await kept(ann, "of great worth", project_id=project.id, request_id=request_id)
    assert (made.blob, made.user_id, made.project_id) == ("of great worth", ann.info.user_id, project.id)
    again = await kept(ann, "of great worth", project_id=project.id, request_id=request_id)
    assert (await shown(ann, made.id)) == again == made
    newer = await changed(ann, made.id, "of greater worth", request_id=change_id, expected_revision=1)
    assert (
        await changed(ann, made.id, "of greater worth", request_id=change_id, expected_revision=1)
    ) == newer
    assert (await shown(ann, made.id)) == newer
    assert (newer.blob, newer.revision) == ("of greater worth", 2)
    assert await reason(changed(ann, made.id, "?", expected_revision=1)) == "REVISION_MISMATCH"
    await kept(ann, "never was", validate_only=True)
    others = [(await kept(ann, "x", type)).id for type in ("a", "b")]
    of_ec2 = (await key(ann)).id
    assert await listed(ann) == [made.id, *others, of_ec2]
    assert (await listed(ann, type="a"), await listed(ann, type="ec2")) == (others[:1], [of_ec2])
    read = either.runtime.database.read
    for table in (kept_table, requests):
        rows = await read(lambda connection, table=table: connection.execute(select(table)).all())
        assert rows
        assert "worth" not in str(rows)
    monkeypatch.setattr(store, "MOST", 3)
    assert await reason(kept(ann, "one too many")) == "QUOTA_EXCEEDED"
    await deleted(ann, made.id)
    assert await reason(shown(ann, made.id)) == "NOT_FOUND"
    assert await listed(ann) == [*others, of_ec2]
    assert (await kept(ann, "in its place")).blob == "in its place"


async def test_one_of_ec2_is_the_same_however_it_was_made(either: Cloud) -> None:
    (ann, project), admin = await either.member("ann", "manager"), await either.admin()
    whose = {"user_id": ann.info.user_id, "project_id": project.id}
    secret, newer = "a secret of sixteen signs", "another one, as long as that"
    made = await kept(admin, pair("AKIA1", secret), "ec2", **whose)
    assert json.loads(made.blob) == {"access": "AKIA1", "secret": secret}
    assert (await shown(ann, made.id)).blob == made.blob
    (same,) = (await keys(ann).ListEc2Credentials(ec2_pb.ListEc2CredentialsRequest())).ec2_credentials
    assert (same.id, same.access_key, same.secret) == (made.id, "AKIA1", "")
    client = await received(either, signed("AKIA1", secret))
    assert (client.info.user_id, client.info.project_id) == (ann.info.user_id, project.id)
    assert set(client.info.roles) == {"manager", "member", "reader"}
    changing = await changed(ann, made.id, pair("AKIA2", newer))
    assert json.loads(changing.blob) == {"access": "AKIA2", "secret": newer}
    assert await reason(client.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    for access_key, said in (("AKIA1", secret), ("AKIA2", secret), (made.id.replace("-", ""), newer)):
        assert await reason(received(either, signed(access_key, said))) == "UNAUTHENTICATED"
    client = await received(either, signed("AKIA2", newer))
    ours = await key(ann)
    assert json.loads((await shown(ann, ours.id)).blob) == {"access": ours.access_key}
    for taken in ("AKIA2", ours.access_key):
        assert await reason(kept(admin, pair(taken, secret), "ec2", **whose)) == "ALREADY_EXISTS"
    assert await reason(changed(ann, ours.id, pair("AKIA2", newer))) == "ALREADY_EXISTS"
    assert (await received(either, signed(ours.access_key, ours.secret))).info.project_id == project.id
    await deleted(admin, made.id)
    assert await reason(client.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    assert await reason(received(either, signed("AKIA2", newer))) == "UNAUTHENTICATED"
    nothing = await kept(admin, pair("AKIA3", secret), "ec2", **(whose | {"user_id": admin.info.user_id}))
    assert nothing.user_id == admin.info.user_id
    assert await reason(received(either, signed("AKIA3", secret))) == "UNAUTHENTICATED"


async def test_nobody_sees_or_keeps_anything_with_another_but_who_administers_them(world: Cloud) -> None:
    (ann, project), (carl, _) = await world.member("ann"), await world.member("carl", "admin")
    admin = await world.admin()
    made, theirs = await kept(ann, "secret"), await kept(admin, "the administrator's")
    for id in (made.id, ids.new()):
        for call in (shown(carl, id), changed(carl, id, "mine"), deleted(carl, id)):
            assert await reason(call) == "NOT_FOUND"
    whose = {"user_id": ann.info.user_id}
    assert await reason(kept(carl, "x", **whose)) == "NOT_FOUND"
    assert await reason(kept(carl, "x", project_id=project.id)) == "NOT_FOUND"
    assert await reason(kept(admin, "x", project_id=ids.new())) == "NOT_FOUND"
    assert await reason(listed(carl, **whose)) == "NOT_FOUND"
    assert await listed(carl) == []
    assert await listed(ann) == await listed(admin, **whose) == [made.id]
    assert await listed(admin, all_users=True) == [made.id, theirs.id]
    for somebody in (ann, carl):
        assert await reason(credentials(somebody).ListCredentials(EVERYBODYS)) == "PERMISSION_DENIED"
    assert await reason(listed(admin, all_users=True, **whose)) == "INVALID_ARGUMENT"
    assert (await shown(admin, made.id)).blob == "secret"


async def test_a_domains_administrator_sees_its_users_but_none_who_has_a_role_on_the_system(
    world: Cloud,
) -> None:
    realm = await world.domain("realm")
    chief, dan = [await world.user(name, domain_id=realm.id) for name in ("chief", "dan")]
    await world.grant(chief.id, "admin", domain_id=realm.id)
    lead = await world.login("chief", Scope(domain_id=realm.id), domain_name="realm")
    made = await kept(lead, "of dan's", user_id=dan.id)
    assert (await shown(lead, made.id)).blob == "of dan's"
    await world.grant(dan.id, "reader", system=True)
    for call in (shown(lead, made.id), listed(lead, user_id=dan.id), changed(lead, made.id, "x")):
        assert await reason(call) == "PERMISSION_DENIED"
    assert (await shown(await world.admin(SYSTEM), made.id)).blob == "of dan's"


async def test_delegated_tokens_and_what_is_no_credential_are_refused(world: Cloud) -> None:
    ann, project = await world.member("ann")
    made = await kept(ann, "secret")
    robot = await program(world, await application_credential(ann, unrestricted=True))
    for call in (shown(robot, made.id), listed(robot), kept(robot, "x"), deleted(robot, made.id)):
        assert await reason(call) == "PERMISSION_DENIED"
    good = pair("AKIA1", "a secret of sixteen signs")
    for type, blob, project_id in (
        ("totp", "JBSWY3DPEHPK3PXP", ""),
        ("certificate", "", ""),
        ("ec2", good, ""),
        ("ec2", "no JSON", project.id),
        ("ec2", pair("AKIA1", "short"), project.id),
        ("ec2", pair("AK/IA1", "a secret of sixteen signs"), project.id),
        ("ec2", json.dumps({"access": "AKIA1"}), project.id),
    ):
        assert await reason(kept(ann, blob, type, project_id=project_id)) == "INVALID_ARGUMENT"
    assert (await kept(ann, good, "ec2", project_id=project.id)).blob
