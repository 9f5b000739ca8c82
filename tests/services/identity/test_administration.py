"""Who may administer whom, and what is left when things go."""

import asyncio

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.services.identity.conftest import SYSTEM, Cloud, Person, Scope
from tests.services.identity.test_login import reason
from weft.identity.v1 import domain_service_pb2 as domain_pb
from weft.identity.v1 import group_service_pb2 as group_pb
from weft.identity.v1 import project_service_pb2 as project_pb
from weft.identity.v1 import role_service_pb2 as role_pb
from weft.identity.v1 import user_service_pb2 as user_pb
from weft.identity.v1.group_service_pb2_grpc import GroupServiceStub

OFF = {"paths": ["enabled"]}


async def domain_admin(world: Cloud, name: str) -> tuple[Person, str]:
    """The administrator of a new domain, and the domain's id."""
    domain = await world.domain(name)
    user = await world.user("boss", domain_id=domain.id)
    await world.grant(user.id, "admin", domain_id=domain.id)
    return await world.login("boss", Scope(domain_id=domain.id), domain_name=name), domain.id


async def test_a_domains_administrator_manages_that_domain_and_sees_no_other(either: Cloud) -> None:
    north, north_id = await domain_admin(either, "north")
    south, _ = await domain_admin(either, "south")
    project = await north.projects.CreateProject(project_pb.CreateProjectRequest(name="p"))
    user = await north.users.CreateUser(user_pb.CreateUserRequest(name="u", password="password"))
    assert (project.domain_id, user.domain_id) == (north_id, north_id)
    grant = {"user_id": user.id, "role_name": "member", "project_id": project.id}
    await north.roles.GrantRole(role_pb.GrantRoleRequest(**grant))
    foreign = [
        south.projects.GetProject(project_pb.GetProjectRequest(id=project.id)),
        south.projects.UpdateProject(
            project_pb.UpdateProjectRequest(id=project.id, project={"name": "mine"})
        ),
        south.projects.DeleteProject(project_pb.DeleteProjectRequest(id=project.id)),
        south.projects.CreateProject(project_pb.CreateProjectRequest(name="x", domain_id=north_id)),
        south.users.GetUser(user_pb.GetUserRequest(id=user.id)),
        south.users.UpdateUser(user_pb.UpdateUserRequest(id=user.id, user={"name": "mine"})),
        south.users.SetPassword(user_pb.SetPasswordRequest(id=user.id, password="mine, mine")),
        south.users.DeleteUser(user_pb.DeleteUserRequest(id=user.id)),
        south.roles.GrantRole(role_pb.GrantRoleRequest(**grant)),
        south.roles.RevokeRole(role_pb.RevokeRoleRequest(**grant)),
        south.domains.GetDomain(domain_pb.GetDomainRequest(id=north_id)),
    ]
    assert {await reason(call) for call in foreign} == {"NOT_FOUND"}
    unknown = await reason(south.users.GetUser(user_pb.GetUserRequest(id=ids.new())))
    assert unknown == "NOT_FOUND"
    assert [u.name for u in (await south.users.ListUsers(user_pb.ListUsersRequest())).users] == ["boss"]
    assert not (
        await south.projects.ListProjects(project_pb.ListProjectsRequest(domain_id=north_id))
    ).projects
    assert not (
        await south.roles.ListAssignments(role_pb.ListAssignmentsRequest(user_id=user.id))
    ).assignments
    mine = await north.roles.ListAssignments(role_pb.ListAssignmentsRequest(user_id=user.id))
    assert [a.role_name for a in mine.assignments] == ["member"]
    await north.roles.RevokeRole(role_pb.RevokeRoleRequest(**grant))
    await north.users.DeleteUser(user_pb.DeleteUserRequest(id=user.id))
    await north.projects.DeleteProject(project_pb.DeleteProjectRequest(id=project.id))


async def test_a_domains_administrator_cannot_become_the_systems(world: Cloud) -> None:
    admin = await world.admin()
    user = await world.user("boss")
    home = (await admin.users.GetUser(user_pb.GetUserRequest(id=user.id))).domain_id
    await world.grant(user.id, "admin", domain_id=home)
    boss = await world.login("boss", Scope(domain_id=home))
    root = admin.info.user_id
    for call in (
        boss.users.SetPassword(user_pb.SetPasswordRequest(id=root, password="mine, mine")),
        boss.users.UpdateUser(user_pb.UpdateUserRequest(id=root, user={}, update_mask=OFF)),
        boss.users.DeleteUser(user_pb.DeleteUserRequest(id=root)),
        boss.roles.GrantRole(role_pb.GrantRoleRequest(user_id=user.id, role_name="admin", system=True)),
        boss.roles.GrantRole(role_pb.GrantRoleRequest(user_id=user.id, role_name="service", domain_id=home)),
        boss.domains.CreateDomain(domain_pb.CreateDomainRequest(name="mine")),
    ):
        assert await reason(call) == "PERMISSION_DENIED"
    other = await world.user("clerk")
    await boss.users.SetPassword(user_pb.SetPasswordRequest(id=other.id, password="a new one"))
    assert (await world.login("clerk", password="a new one")).info.user_id == other.id


async def test_an_administrator_of_a_project_is_not_one_of_the_system(world: Cloud) -> None:
    ann, project = await world.member("ann", "admin")
    assert "admin" in ann.info.roles
    for call in (
        ann.users.ListUsers(user_pb.ListUsersRequest()),
        ann.users.CreateUser(user_pb.CreateUserRequest(name="x")),
        ann.projects.DeleteProject(project_pb.DeleteProjectRequest(id=project.id)),
        ann.domains.ListDomains(domain_pb.ListDomainsRequest()),
    ):
        assert await reason(call) == "PERMISSION_DENIED"
    assert await reason(world.rescope(ann, SYSTEM)) == "UNAUTHENTICATED"
    assert (await ann.projects.GetProject(project_pb.GetProjectRequest(id=project.id))).id == project.id


async def test_everybody_sees_themselves_and_their_projects_and_nobody_elses(world: Cloud) -> None:
    ann, project = await world.member("ann")
    bob, other = await world.member("bob")
    assert (await ann.users.GetUser(user_pb.GetUserRequest(id=ann.info.user_id))).name == "ann"
    assert await reason(ann.users.GetUser(user_pb.GetUserRequest(id=bob.info.user_id))) == "NOT_FOUND"
    assert await reason(ann.projects.GetProject(project_pb.GetProjectRequest(id=other.id))) == "NOT_FOUND"
    mine = await ann.projects.ListMyProjects(project_pb.ListMyProjectsRequest())
    assert [p.id for p in mine.projects] == [project.id]


async def test_an_inherited_role_holds_on_the_project_and_below_and_ends_everywhere(either: Cloud) -> None:
    top = await either.project("top")
    middle = await either.project("middle", parent_id=top.id)
    leaf = await either.project("leaf", parent_id=middle.id)
    user = await either.user("ann")
    await either.grant(user.id, "member", project_id=middle.id, inherited=True)
    below = await either.login("ann", Scope(project_id=leaf.id))
    assert set(below.info.roles) == {"member", "reader"}
    assert await reason(either.login("ann", Scope(project_id=top.id))) == "UNAUTHENTICATED"
    mine = await below.projects.ListMyProjects(project_pb.ListMyProjectsRequest())
    assert {p.name for p in mine.projects} == {"middle", "leaf"}
    request = role_pb.RevokeRoleRequest(
        user_id=user.id, role_name="member", project_id=middle.id, inherited=True
    )
    admin = await either.admin()
    await admin.roles.RevokeRole(request)
    call = below.projects.ListMyProjects(project_pb.ListMyProjectsRequest())
    assert await reason(call) == "TOKEN_REVOKED"
    assert await reason(admin.roles.RevokeRole(request)) == "NOT_FOUND"


async def test_taking_one_role_away_leaves_tokens_for_other_projects_alone(world: Cloud) -> None:
    ann, project = await world.member("ann")
    bob, other = await world.member("bob")
    await world.grant(ann.info.user_id, "member", project_id=other.id)
    elsewhere = await world.login("ann", Scope(project_id=other.id))
    await (await world.admin()).roles.RevokeRole(
        role_pb.RevokeRoleRequest(user_id=ann.info.user_id, role_name="member", project_id=other.id)
    )
    whole = project_pb.ListMyProjectsRequest()
    assert await reason(elsewhere.projects.ListMyProjects(whole)) == "TOKEN_REVOKED"
    assert [p.id for p in (await ann.projects.ListMyProjects(whole)).projects] == [project.id]
    assert [p.id for p in (await bob.projects.ListMyProjects(whole)).projects] == [other.id]


async def test_names_are_unique_under_a_race(either: Cloud) -> None:
    admin = await either.admin()

    async def create() -> str:
        try:
            await admin.projects.CreateProject(project_pb.CreateProjectRequest(name="same"))
        except CloudError as error:
            return error.reason
        return "made"

    outcomes = await asyncio.gather(*(create() for _ in range(20)))
    assert (outcomes.count("made"), outcomes.count("ALREADY_EXISTS")) == (1, 19)
    south = await either.domain("south")
    assert (await either.project("same", domain_id=south.id)).name == "same"


async def test_a_request_sent_twice_is_done_once_and_validation_changes_nothing(either: Cloud) -> None:
    admin = await either.admin()
    request = project_pb.CreateProjectRequest(name="p", request_id=ids.new())
    first, second = [await admin.projects.CreateProject(request) for _ in range(2)]
    assert first == second
    request.name = "q"
    assert await reason(admin.projects.CreateProject(request)) == "REQUEST_ID_REUSED"
    tried = await admin.projects.CreateProject(project_pb.CreateProjectRequest(name="r", validate_only=True))
    assert tried.name == "r"
    names = [p.name for p in (await admin.projects.ListProjects(project_pb.ListProjectsRequest())).projects]
    assert names == ["admin", "p"]


async def test_an_update_is_bound_to_the_revision_and_to_what_may_change(world: Cloud) -> None:
    admin, project = await world.admin(), await world.project("p")

    def update(**fields):
        return admin.projects.UpdateProject(project_pb.UpdateProjectRequest(id=project.id, **fields))

    changed = await update(project={"name": "q", "tags": ["a"]}, expected_revision=project.revision)
    assert (changed.name, list(changed.tags), changed.enabled) == ("q", ["a"], True)
    stale = update(project={"name": "r"}, expected_revision=project.revision)
    assert await reason(stale) == "REVISION_MISMATCH"
    outside = update(project={"domain_id": ids.new()}, update_mask={"paths": ["domain_id"]})
    assert await reason(outside) == "INVALID_ARGUMENT"
    assert await reason(update(project={}, update_mask={"paths": ["name"]})) == "INVALID_ARGUMENT"
    assert await reason(update(project={"name": "admin"})) == "ALREADY_EXISTS"
    assert await reason(update(project={"name": "x" * 10_000})) == "INVALID_ARGUMENT"


async def test_a_domain_goes_only_when_disabled_and_empty_and_a_project_only_without_children(
    world: Cloud,
) -> None:
    admin, domain = await world.admin(), await world.domain("north")
    top = await world.project("top", domain_id=domain.id)
    below = await world.project("below", domain_id=domain.id, parent_id=top.id)

    def remove_domain():
        return admin.domains.DeleteDomain(domain_pb.DeleteDomainRequest(id=domain.id))

    def remove(id, **more):
        return admin.projects.DeleteProject(project_pb.DeleteProjectRequest(id=id, **more))

    assert await reason(remove_domain()) == "WRONG_STATUS"
    await admin.domains.UpdateDomain(domain_pb.UpdateDomainRequest(id=domain.id, domain={}, update_mask=OFF))
    assert await reason(remove_domain()) == "IN_USE"
    assert await reason(remove(top.id)) == "IN_USE"
    await remove(below.id)
    assert await reason(remove(below.id)) == "NOT_FOUND"
    await remove(below.id, allow_missing=True)
    await remove(top.id)
    await remove_domain()
    assert await reason(remove_domain()) == "NOT_FOUND"


async def test_projects_are_nested_so_deep_and_no_deeper(world: Cloud) -> None:
    parent = ""
    for depth in range(8):
        parent = (await world.project(f"level {depth}", parent_id=parent)).id
    with pytest.raises(CloudError, match="8 deep"):
        await world.project("too deep", parent_id=parent)


async def test_a_domains_role_does_not_pass_for_a_global_one(world: Cloud) -> None:
    admin, domain = await world.admin(), await world.domain("north")

    def create(name, **more):
        return admin.roles.CreateRole(role_pb.CreateRoleRequest(name=name, **more))

    assert await reason(create("admin", domain_id=domain.id)) == "ALREADY_EXISTS"
    auditor = await create("auditor", domain_id=domain.id)
    assert await reason(create("auditor")) == "ALREADY_EXISTS"
    user, project = await world.user("ann"), await world.project("elsewhere")
    outside = role_pb.GrantRoleRequest(user_id=user.id, role_id=auditor.id, project_id=project.id)
    assert await reason(admin.roles.GrantRole(outside)) == "NOT_FOUND"
    inside = role_pb.GrantRoleRequest(user_id=user.id, role_id=auditor.id, domain_id=domain.id)
    first, second = [await admin.roles.GrantRole(inside) for _ in range(2)]
    assert first.id == second.id
    listed = await admin.roles.ListRoles(role_pb.ListRolesRequest(name="admin"))
    standard = role_pb.DeleteRoleRequest(id=listed.roles[0].id)
    assert await reason(admin.roles.DeleteRole(standard)) == "IN_USE"
    person = await world.login("ann", Scope(domain_id=domain.id))
    await admin.roles.DeleteRole(role_pb.DeleteRoleRequest(id=auditor.id))
    assert await reason(person.roles.ListRoles(role_pb.ListRolesRequest())) == "TOKEN_REVOKED"


async def test_lists_come_in_pages_bound_to_their_filter(world: Cloud) -> None:
    admin = await world.admin()
    for number in range(5):
        await world.project(f"p{number}")
    seen, token = [], ""
    while True:
        page = await admin.projects.ListProjects(
            project_pb.ListProjectsRequest(page_size=2, page_token=token)
        )
        seen += [project.name for project in page.projects]
        token = page.next_page_token
        if not token:
            break
        foreign = project_pb.ListProjectsRequest(name="p1", page_size=2, page_token=token)
        assert await reason(admin.projects.ListProjects(foreign)) == "PAGE_TOKEN_INVALID"
    assert seen == ["admin", "p0", "p1", "p2", "p3", "p4"]


async def test_hostile_text_gets_a_clear_answer_or_is_kept_as_it_is(either: Cloud) -> None:
    admin = await either.admin()
    for name in ("'; DROP TABLE users; --", "\u202egnp.exe", "漢字 🐘", "%", "a" * 255):
        made = await admin.projects.CreateProject(project_pb.CreateProjectRequest(name=name))
        listed = await admin.projects.ListProjects(project_pb.ListProjectsRequest(name=name))
        assert [project.id for project in listed.projects] == [made.id]
    for name in ("", "a" * 256, "nul\x00"):
        request = project_pb.CreateProjectRequest(name=name)
        assert await reason(admin.projects.CreateProject(request)) == "INVALID_ARGUMENT"
    assert await reason(either.login("nul\x00")) in ("INVALID_ARGUMENT", "UNAUTHENTICATED")


async def test_one_finds_the_domains_that_one_has_a_role_on_and_no_others(either: Cloud) -> None:
    ann, _ = await either.member("ann")
    mine, ours, off, _ = [await either.domain(name) for name in ("mine", "ours", "off", "theirs")]
    for domain in (mine, off):
        await either.grant(ann.info.user_id, "reader", domain_id=domain.id)
    admin = await either.admin()
    groups = admin.client.stub(GroupServiceStub)
    group = await groups.CreateGroup(group_pb.CreateGroupRequest(name="we", domain_id=ours.id))
    give = role_pb.GrantRoleRequest(group_id=group.id, role_name="reader", domain_id=ours.id)
    await admin.roles.GrantRole(give)
    await groups.AddMember(group_pb.AddMemberRequest(group_id=group.id, user_id=ann.info.user_id))
    await admin.domains.UpdateDomain(domain_pb.UpdateDomainRequest(id=off.id, domain={}, update_mask=OFF))
    again, found, request = await either.login("ann"), [], domain_pb.ListMyDomainsRequest(page_size=1)
    while True:
        answer = await again.domains.ListMyDomains(request)
        found += [each.id for each in answer.domains]
        request.page_token = answer.next_page_token
        if not request.page_token:
            break
    assert found == [mine.id, ours.id]
    for id in found:
        assert (await either.login("ann", Scope(domain_id=id))).info.domain_id == id
