"""Application credentials: what a program may do with one, and what it may not."""

from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from mesh import clock, ids
from mesh.errors import CloudError
from mesh.tables import requests
from services.identity.model import Target
from services.identity.store import assignments, groups, memberships, roles
from services.identity.tables import delegations
from tests.services.identity.conftest import PASSWORD, SYSTEM, Cloud, Scope
from tests.services.identity.delegating import credential, credentials, program, program_login
from tests.services.identity.test_login import reason
from weft.identity.v1 import application_credential_service_pb2 as pb
from weft.identity.v1 import project_service_pb2 as project_pb
from weft.identity.v1 import resources_pb2
from weft.identity.v1 import role_service_pb2 as role_pb
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1 import user_service_pb2 as user_pb

GET_TOKEN = token_pb.GetTokenRequest()
LIST = pb.ListApplicationCredentialsRequest()


async def test_a_program_gets_a_token_for_its_project_with_the_roles_it_was_given(either: Cloud) -> None:
    ann, project = await either.member("ann", "manager")
    made = await credential(ann, roles=["member"])
    robot = await program(either, made)
    said = await robot.tokens.GetToken(GET_TOKEN)
    assert (said.user_id, said.project_id) == (ann.info.user_id, project.id)
    assert set(said.roles) == {"member", "reader"}
    assert (list(said.methods), said.delegation_id) == (["application_credential"], made.id)
    everything = await program(either, await credential(ann, "everything"))
    assert set(everything.info.roles) == {"manager", "member", "reader"}
    found = await credentials(ann).ListApplicationCredentials(LIST)
    assert [(one.name, one.secret) for one in found.application_credentials] == [
        ("robot", ""),
        ("everything", ""),
    ]


async def test_it_is_named_by_id_or_by_name_and_user(world: Cloud) -> None:
    ann, project = await world.member("ann")
    made = await credential(ann)
    for said in (
        {"name": "robot", "user_name": "ann", "id": ""},
        {"name": "robot", "user_id": ann.info.user_id, "id": ""},
        {"name": "robot", "user_name": "ann", "domain_name": "Default", "id": ""},
    ):
        answer = await world.nobody().tokens.CreateToken(program_login(made, **said))
        assert answer.info.project_id == project.id
    for said in ({"name": "robot"}, {"name": "robot", "id": ""}, {"id": ""}):
        login = world.nobody().tokens.CreateToken(program_login(made, **said))
        assert await reason(login) == "INVALID_ARGUMENT"


async def test_every_wrong_login_of_a_program_gets_the_same_answer(world: Cloud) -> None:
    ann, project = await world.member("ann")
    bob, theirs = await world.member("bob")
    made, of_bob = await credential(ann), await credential(bob)
    late = clock.now() + timedelta(hours=2)
    ended = await credential(ann, "ended", expires_at=clock.to_proto(clock.now() + timedelta(hours=1)))
    answers = []
    with clock.told_by(lambda: late):
        for request in (
            program_login(made, secret="wrong"),
            program_login(made, secret=of_bob.secret),
            program_login(made, id=ids.new()),
            program_login(made, id="", name="robot", user_name="nobody of this name"),
            program_login(made, id="", name="no such", user_name="ann"),
            program_login(made, id="", name="robot", user_name="ann", domain_name="no such"),
            program_login(made, Scope(project_id=theirs.id)),
            program_login(made, Scope(project=resources_pb2.NamedProject(name="bob's"))),
            program_login(made, Scope(domain_name="Default")),
            program_login(made, SYSTEM),
            program_login(made, Scope()),
            program_login(made, Scope(trust_id=made.id)),
            program_login(ended),
        ):
            with pytest.raises(CloudError) as caught:
                await world.nobody().tokens.CreateToken(request)
            answers.append((caught.value.reason, caught.value.message, tuple(caught.value.metadata)))
        assert (await program(world, made, Scope(project_id=project.id))).info.project_id == project.id
        named = Scope(project=resources_pb2.NamedProject(name="ann's"))
        assert (await program(world, made, named)).info.project_id == project.id
    assert len(set(answers)) == 1
    assert answers[0][0] == "UNAUTHENTICATED"
    assert (await program(world, ended)).info.project_id == project.id


async def test_its_token_stays_in_its_project_whatever_it_is_exchanged_for(world: Cloud) -> None:
    ann, project = await world.member("ann")
    other = await world.project("also ann's")
    await world.grant(ann.info.user_id, "member", project_id=other.id)
    robot = await program(world, await credential(ann))
    for scope in (Scope(project_id=other.id), Scope(), SYSTEM, Scope(domain_name="Default")):
        assert await reason(world.rescope(robot, scope)) == "UNAUTHENTICATED"
    for scope in (None, Scope(project_id=project.id)):
        again = await world.rescope(robot, scope)
        assert (again.info.project_id, again.info.delegation_id) == (project.id, robot.info.delegation_id)
        assert again.info.expires_at == robot.info.expires_at
    assert (await world.rescope(ann, Scope(project_id=other.id))).info.project_id == other.id


async def test_it_never_gives_more_than_its_user_has_and_follows_what_that_is(either: Cloud) -> None:
    ann, project = await either.member("ann", "manager")
    made = await credential(ann)
    await either.grant(ann.info.user_id, "reader", project_id=project.id)
    admin = await either.admin()
    take = role_pb.RevokeRoleRequest(user_id=ann.info.user_id, role_name="manager", project_id=project.id)
    robot = await program(either, made)
    await admin.roles.RevokeRole(take)
    assert await reason(robot.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    assert list((await program(either, made)).info.roles) == ["reader"]
    await either.grant(ann.info.user_id, "admin", project_id=project.id)
    assert set((await program(either, made)).info.roles) == {"manager", "member", "reader"}


async def test_what_its_user_has_for_some_time_only_it_gives_for_no_longer(either: Cloud) -> None:
    ann, project = await either.member("ann")
    database, until = either.runtime.database, clock.now() + timedelta(minutes=10)

    def join(connection) -> None:
        group = groups.create(connection, {"name": "passing", "domain_id": ann.info.user_domain_id})
        role = roles.named(connection, "manager")
        there = Target(project_id=project.id)
        assignments.grant(connection, assignments.Holder(group_id=group.id), role, there, inherited=False)
        memberships.add(connection, group.id, ann.info.user_id, until)

    before = await program(either, await credential(ann, "before"))
    await database.write(join)
    made = await credential(await either.login("ann", Scope(project_id=project.id)))
    robot = await program(either, made)
    assert "manager" in robot.info.roles
    assert (
        robot.info.expires_at.ToDatetime() <= until.replace(tzinfo=None) < before.info.expires_at.ToDatetime()
    )
    with clock.told_by(lambda: until + timedelta(seconds=1)):
        assert set((await program(either, made)).info.roles) == {"member", "reader"}


async def test_nobody_hands_on_what_they_have_not(world: Cloud) -> None:
    ann, project = await world.member("ann")
    assert await reason(credential(ann, roles=["member", "admin"])) == "PERMISSION_DENIED"
    assert await reason(credential(ann, roles=["no such role"])) == "PERMISSION_DENIED"
    admin = await world.admin()
    assert await reason(credential(admin)) == "INVALID_ARGUMENT"
    assert await reason(credential(await world.rescope(ann, Scope()))) == "PERMISSION_DENIED"
    assert (await credential(ann, roles=["member"])).project_id == project.id


async def test_a_restricted_one_makes_and_ends_no_credentials(world: Cloud) -> None:
    ann, _ = await world.member("ann")
    made, other = await credential(ann), await credential(ann, "other")
    robot = await program(world, made)
    end = pb.DeleteApplicationCredentialRequest(id=other.id)
    change = user_pb.SetPasswordRequest(
        id=ann.info.user_id, password="a new password", original_password=PASSWORD
    )
    for call in (
        credential(robot, "more"),
        credentials(robot).DeleteApplicationCredential(end),
        robot.users.SetPassword(change),
    ):
        assert await reason(call) == "PERMISSION_DENIED"
    free = await program(world, await credential(ann, "free", unrestricted=True))
    assert (await credential(free, "more")).parent_id == free.info.delegation_id
    await credentials(free).DeleteApplicationCredential(end)
    await ann.users.SetPassword(change)


async def test_what_an_unrestricted_one_made_has_no_more_and_ends_with_it(either: Cloud) -> None:
    ann, _ = await either.member("ann", "manager")
    end = clock.now() + timedelta(minutes=30)
    made = await credential(
        ann,
        unrestricted=True,
        roles=["member"],
        expires_at=clock.to_proto(end),
        access_rules=[{"rpc": "weft.identity.v1.ApplicationCredentialService/*"}],
    )
    free = await program(either, made)
    assert await reason(credential(free, "more", roles=["manager"])) == "PERMISSION_DENIED"
    late = clock.to_proto(end + timedelta(minutes=1))
    assert await reason(credential(free, "late", expires_at=late)) == "INVALID_ARGUMENT"
    child = await credential(free, "child", roles=["reader"])
    robot = await program(either, child)
    assert list(robot.info.roles) == ["reader"]
    assert robot.info.expires_at.ToDatetime() <= end.replace(tzinfo=None)
    await credentials(robot).ListApplicationCredentials(LIST)
    assert await reason(robot.tokens.GetToken(GET_TOKEN)) == "PERMISSION_DENIED"
    await credentials(ann).DeleteApplicationCredential(pb.DeleteApplicationCredentialRequest(id=made.id))
    assert await reason(credentials(robot).ListApplicationCredentials(LIST)) == "TOKEN_REVOKED"
    assert await reason(program(either, child)) == "UNAUTHENTICATED"
    assert (await credentials(ann).ListApplicationCredentials(LIST)).application_credentials == []


async def test_a_chain_of_them_has_an_end(world: Cloud) -> None:
    ann, _ = await world.member("ann")
    maker, made = ann, []
    for position in range(8):
        made.append(await credential(maker, f"number {position}", unrestricted=True))
        maker = await program(world, made[-1])
    assert await reason(credential(maker, "too deep")) == "PERMISSION_DENIED"
    assert len(maker.token) < 4096
    await credentials(ann).DeleteApplicationCredential(pb.DeleteApplicationCredentialRequest(id=made[3].id))
    assert await reason(maker.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    assert (await program(world, made[2])).info.delegation_id == made[2].id


async def test_access_rules_let_through_the_rpcs_they_name_and_their_rest_paths(world: Cloud) -> None:
    ann, project = await world.member("ann")
    rules = [
        {"rpc": "weft.identity.v1.TokenService/GetToken"},
        {"method": "GET", "path": "/identity/v1/projects/{id}"},
    ]
    made = await credential(ann, access_rules=rules)
    named = {rule.rpc for rule in made.access_rules}
    assert named == {
        "weft.identity.v1.TokenService/GetToken",
        "weft.identity.v1.ProjectService/GetProject",
    }
    robot = await program(world, made)
    for person in (robot, await world.rescope(robot)):
        assert set((await person.tokens.GetToken(GET_TOKEN)).access_rules) == named
        await person.projects.GetProject(project_pb.GetProjectRequest(id=project.id))
        mine = person.projects.ListMyProjects(project_pb.ListMyProjectsRequest())
        assert await reason(mine) == "PERMISSION_DENIED"
        assert await reason(person.tokens.RevokeToken(token_pb.RevokeTokenRequest())) == "PERMISSION_DENIED"
    await ann.projects.ListMyProjects(project_pb.ListMyProjectsRequest())


UNKNOWN = [
    {"rpc": "weft.identity.v1.TokenService/NoSuch"},
    {"rpc": "weft.identity.v1.KeyService/CheckToken"},
    {"rpc": "*"},
    {"rpc": "weft.identity.v1.*/*"},
    {"method": "GET", "path": "/identity/v1/nothing"},
    {"method": "GET", "path": "/identity/v1/projects/5f4b5c1e-8a55-4a5e-9df1-0a4a5a1e9f11"},
    {"method": "DELETE", "path": "/identity/v1/projects"},
    {"method": "GET"},
    {"path": "/identity/v1/projects"},
    {"rpc": "weft.identity.v1.TokenService/GetToken", "method": "GET", "path": "/identity/v1/projects"},
    {"method": "BREW", "path": "/identity/v1/projects"},
    {},
]


async def test_a_rule_that_no_contract_knows_is_refused(world: Cloud) -> None:
    ann, _ = await world.member("ann")
    for rule in UNKNOWN:
        assert await reason(credential(ann, access_rules=[rule])) == "INVALID_ARGUMENT", rule
    below = [{"method": "GET", "path": "/identity/v1/**"}, {"rpc": "weft.compute.v1.ServerService/*"}]
    assert len((await credential(ann, access_rules=below)).access_rules) > 10


async def test_more_rules_than_a_token_can_carry_are_refused(world: Cloud) -> None:
    ann, _ = await world.member("ann")
    verbs = [{"method": verb, "path": "/**"} for verb in ("GET", "POST", "PATCH", "DELETE")]
    assert await reason(credential(ann, access_rules=verbs)) == "INVALID_ARGUMENT"


async def test_others_of_the_project_and_of_other_domains_see_nothing_of_it(world: Cloud) -> None:
    ann, project = await world.member("ann")
    bob = await world.user("bob")
    await world.grant(bob.id, "admin", project_id=project.id)
    north = await world.domain("north")
    carl = await world.user("carl", domain_id=north.id)
    await world.grant(carl.id, "admin", domain_id=north.id)
    carl = await world.login("carl", Scope(domain_id=north.id), domain_name="north")
    made = await credential(ann)
    for stranger in (await world.login("bob", Scope(project_id=project.id)), carl):
        for id in (made.id, ids.new()):
            get = pb.GetApplicationCredentialRequest(id=id)
            assert await reason(credentials(stranger).GetApplicationCredential(get)) == "NOT_FOUND"
            end = pb.DeleteApplicationCredentialRequest(id=id)
            assert await reason(credentials(stranger).DeleteApplicationCredential(end)) == "NOT_FOUND"
        whose = pb.ListApplicationCredentialsRequest(user_id=ann.info.user_id)
        assert await reason(credentials(stranger).ListApplicationCredentials(whose)) == "NOT_FOUND"
        assert (await credentials(stranger).ListApplicationCredentials(LIST)).application_credentials == []
    admin = credentials(await world.admin())
    found = await admin.ListApplicationCredentials(whose)
    assert [(one.id, one.secret) for one in found.application_credentials] == [(made.id, "")]
    await admin.DeleteApplicationCredential(pb.DeleteApplicationCredentialRequest(id=made.id))
    assert await reason(program(world, made)) == "UNAUTHENTICATED"


async def test_the_secret_is_told_once_and_kept_as_a_hash(either: Cloud) -> None:
    ann, _ = await either.member("ann")
    request_id = ids.new()
    made = await credential(ann, request_id=request_id)
    again = await credential(ann, request_id=request_id)
    assert (again.id, again.secret) == (made.id, "")
    assert len(made.secret) == 43
    assert await reason(credential(ann)) == "ALREADY_EXISTS"
    assert (await credential(ann, "another", validate_only=True)).secret == ""
    database = either.runtime.database
    stored = [str(row) for table in (delegations, requests) for row in await _all(database, table)]
    assert len(stored) >= 2
    assert not any(made.secret in row for row in stored)
    assert (await program(either, made)).info.delegation_id == made.id


async def _all(database, table) -> list:
    return await database.read(lambda connection: connection.execute(select(table)).all())


async def test_an_end_that_is_past_or_no_time_at_all_is_refused(world: Cloud) -> None:
    ann, _ = await world.member("ann")
    for seconds in (-62135596801, 253402300800, 2**62, 1):
        assert await reason(credential(ann, expires_at=Timestamp(seconds=seconds))) == "INVALID_ARGUMENT"
