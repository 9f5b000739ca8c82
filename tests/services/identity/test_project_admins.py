"""Administrators of any project as administrators of the cloud: where it is set, and where it is not."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from mesh.settings import Settings
from tests.services.identity.conftest import SYSTEM, Cloud, Person, Scope, running
from tests.services.identity.delegating import credential, program, trust, trustee
from tests.services.identity.test_administration import domain_admin
from tests.services.identity.test_ec2_credentials import key, own, received, signed
from tests.services.identity.test_login import reason
from weft.identity.v1 import group_service_pb2 as group_pb
from weft.identity.v1 import group_service_pb2_grpc
from weft.identity.v1 import project_service_pb2 as project_pb
from weft.identity.v1 import role_service_pb2 as role_pb
from weft.identity.v1 import user_service_pb2 as user_pb


@pytest.fixture
async def lax(cloud: Settings) -> AsyncIterator[Cloud]:
    """A cloud in which it is set."""
    identity = msgspec.structs.replace(cloud.identity, project_admins_administer_cloud=True)
    async with running(msgspec.structs.replace(cloud, identity=identity)) as found:
        yield found


async def listed(person: Person) -> int:
    """How many projects somebody sees, of all there are."""
    return len((await person.projects.ListProjects(project_pb.ListProjectsRequest())).projects)


async def test_unless_it_is_set_nobody_gets_the_system_by_a_project(world: Cloud) -> None:
    boss, _ = await world.member("boss", "admin")
    assert await reason(world.rescope(boss, SYSTEM)) == "UNAUTHENTICATED"
    await world.grant(boss.info.user_id, "admin", system=True)
    assert await listed(await world.rescope(boss, SYSTEM)) > 1


async def test_where_it_is_set_a_token_of_the_project_is_exchanged_and_no_other(lax: Cloud) -> None:
    boss, _ = await lax.member("boss", "admin")
    system = await lax.rescope(boss, SYSTEM)
    assert await listed(system) > 1
    assert await reason(lax.login("boss", SYSTEM)) == "UNAUTHENTICATED"
    for name, role in (("ann", "member"), ("max", "manager")):
        other, _ = await lax.member(name, role)
        assert await reason(lax.rescope(other, SYSTEM)) == "UNAUTHENTICATED"


async def test_it_ends_with_the_role_on_the_project(lax: Cloud) -> None:
    boss, project = await lax.member("boss", "admin")
    system = await lax.rescope(boss, SYSTEM)
    again = await lax.rescope(system, SYSTEM)
    taken = role_pb.RevokeRoleRequest(user_id=boss.info.user_id, role_name="admin", project_id=project.id)
    await (await lax.admin()).roles.RevokeRole(taken)
    for person in (system, again):
        assert await reason(listed(person)) in ("UNAUTHENTICATED", "TOKEN_REVOKED")
        assert await reason(lax.rescope(person, SYSTEM)) in ("UNAUTHENTICATED", "TOKEN_REVOKED")


async def test_where_it_is_set_a_domains_administrator_makes_nobody_one_of_the_cloud(lax: Cloud) -> None:
    north, north_id = await domain_admin(lax, "north")
    project = await lax.project("p", domain_id=north_id)
    user, boss = [await lax.user(name, domain_id=north_id) for name in ("ann", "max")]
    await lax.grant(boss.id, "admin", project_id=project.id)
    group = await north.client.stub(group_service_pb2_grpc.GroupServiceStub).CreateGroup(
        group_pb.CreateGroupRequest(name="crew")
    )
    system = await lax.admin()
    given = {"role_name": "admin", "project_id": project.id}
    await system.roles.GrantRole(role_pb.GrantRoleRequest(group_id=group.id, **given))
    joining = group_pb.AddMemberRequest(group_id=group.id, user_id=user.id)
    groups = north.client.stub(group_service_pb2_grpc.GroupServiceStub)
    refused = [
        north.roles.GrantRole(role_pb.GrantRoleRequest(user_id=user.id, **given)),
        north.users.SetPassword(user_pb.SetPasswordRequest(id=boss.id, password="as good as theirs")),
        groups.AddMember(joining),
    ]
    assert {await reason(call) for call in refused} == {"PERMISSION_DENIED"}
    member = role_pb.GrantRoleRequest(user_id=user.id, role_name="member", project_id=project.id)
    await north.roles.GrantRole(member)
    await north.users.SetPassword(user_pb.SetPasswordRequest(id=user.id, password="as good as theirs"))
    await system.roles.GrantRole(role_pb.GrantRoleRequest(user_id=user.id, **given))


async def test_what_was_handed_on_gives_no_system(lax: Cloud) -> None:
    boss, project = await lax.member("boss", "admin")
    robot = await program(lax, await credential(boss))
    assert robot.info.scope == boss.info.scope
    assert await reason(lax.rescope(robot, SYSTEM)) == "UNAUTHENTICATED"
    await lax.rescope(robot, Scope(project_id=project.id))


@pytest.mark.parametrize("impersonate", [False, True])
async def test_a_trust_of_a_projects_administrator_gives_no_system(lax: Cloud, impersonate: bool) -> None:
    boss, _ = await lax.member("boss", "admin")
    bob, _ = await lax.member("bob")
    made = await trust(boss, bob.info.user_id, roles=["admin"], impersonate=impersonate)
    acting = await trustee(lax, "bob", made.id)
    assert "admin" in acting.info.roles
    for person in (acting, bob):
        assert await reason(lax.rescope(person, SYSTEM)) == "UNAUTHENTICATED"
    await lax.rescope(boss, SYSTEM)


async def test_a_signature_of_a_projects_administrator_gives_no_system(lax: Cloud) -> None:
    boss, _ = await lax.member("boss", "admin")
    made = await key(boss)
    by_service = await received(lax, signed(made.access_key, made.secret))
    by_oneself = await own(lax, made)
    assert await reason(own(lax, made, SYSTEM)) == "UNAUTHENTICATED"
    for person in (by_service, by_oneself):
        assert "admin" in person.info.roles
        assert await reason(lax.rescope(person, SYSTEM)) == "UNAUTHENTICATED"
    await lax.rescope(boss, SYSTEM)


async def test_a_system_that_was_exchanged_for_is_handed_on_by_nobody(lax: Cloud) -> None:
    boss, _ = await lax.member("boss", "admin")
    bob, _ = await lax.member("bob")
    system = await lax.rescope(boss, SYSTEM)
    handing_on = (trust(system, bob.info.user_id), credential(system), key(system))
    assert {await reason(made) for made in handing_on} == {"INVALID_ARGUMENT"}
    for made in (trust(boss, bob.info.user_id), credential(boss), key(boss)):
        await made
