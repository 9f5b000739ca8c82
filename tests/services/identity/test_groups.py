"""Groups, implied roles, and why somebody has a role."""

from mesh.errors import CloudError
from tests.services.identity.conftest import Cloud, Person, Scope
from tests.services.identity.test_login import reason
from weft.identity.v1 import group_service_pb2 as group_pb
from weft.identity.v1 import implication_service_pb2 as implication_pb
from weft.identity.v1 import project_service_pb2 as project_pb
from weft.identity.v1 import role_service_pb2 as role_pb
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1.group_service_pb2_grpc import GroupServiceStub
from weft.identity.v1.implication_service_pb2_grpc import ImplicationServiceStub


def groups(person: Person):
    return person.client.stub(GroupServiceStub)


def implications(person: Person):
    return person.client.stub(ImplicationServiceStub)


async def still(person: Person) -> str:
    """ "holds", or why the person's token does not."""
    try:
        await person.tokens.GetToken(token_pb.GetTokenRequest())
    except CloudError as error:
        return error.reason
    return "holds"


async def test_a_member_has_the_groups_roles_until_leaving(either: Cloud) -> None:
    admin, user = await either.admin(), await either.user("ann")
    top = await either.project("top")
    leaf = await either.project("leaf", parent_id=top.id)
    group = await groups(admin).CreateGroup(group_pb.CreateGroupRequest(name="crew"))
    given = {"group_id": group.id, "role_name": "member", "project_id": top.id, "inherited": True}
    await admin.roles.GrantRole(role_pb.GrantRoleRequest(**given))
    assert await reason(either.login("ann", Scope(project_id=leaf.id))) == "UNAUTHENTICATED"
    member = {"group_id": group.id, "user_id": user.id}
    await groups(admin).AddMember(group_pb.AddMemberRequest(**member))
    ann, bystander = await either.login("ann", Scope(project_id=leaf.id)), await either.login("ann", Scope())
    assert set(ann.info.roles) == {"member", "reader"}
    mine = await ann.projects.ListMyProjects(project_pb.ListMyProjectsRequest())
    assert {project.name for project in mine.projects} == {"top", "leaf"}
    await groups(admin).RemoveMember(group_pb.RemoveMemberRequest(**member))
    assert (await still(ann), await still(bystander)) == ("TOKEN_REVOKED", "holds")
    assert await reason(either.login("ann", Scope(project_id=leaf.id))) == "UNAUTHENTICATED"
    assert await reason(groups(admin).RemoveMember(group_pb.RemoveMemberRequest(**member))) == "NOT_FOUND"
    await groups(admin).AddMember(group_pb.AddMemberRequest(**member))
    again = await either.login("ann", Scope(project_id=leaf.id))
    await admin.roles.RevokeRole(role_pb.RevokeRoleRequest(**given))
    assert await still(again) == "TOKEN_REVOKED"
    await admin.roles.GrantRole(role_pb.GrantRoleRequest(**given))
    last = await either.login("ann", Scope(project_id=leaf.id))
    await groups(admin).DeleteGroup(group_pb.DeleteGroupRequest(id=group.id))
    assert await still(last) == "TOKEN_REVOKED"


async def test_who_has_a_role_and_why_is_told(either: Cloud) -> None:
    admin, user = await either.admin(), await either.user("ann")
    top = await either.project("top")
    leaf = await either.project("leaf", parent_id=top.id)
    group = await groups(admin).CreateGroup(group_pb.CreateGroupRequest(name="crew"))
    await groups(admin).AddMember(group_pb.AddMemberRequest(group_id=group.id, user_id=user.id))
    await admin.roles.GrantRole(
        role_pb.GrantRoleRequest(group_id=group.id, role_name="manager", project_id=top.id, inherited=True)
    )
    await either.grant(user.id, "reader", project_id=leaf.id)
    request = role_pb.ListEffectiveAssignmentsRequest(project_id=leaf.id)
    told = {a.role_name: a for a in (await admin.roles.ListEffectiveAssignments(request)).assignments}
    assert set(told) == {"manager", "member", "reader"}
    (member,) = told["member"].origins
    assert (member.group_name, member.from_project_id) == ("crew", top.id)
    assert list(member.implied_by) == ["manager"]
    ways = {(origin.group_name, tuple(origin.implied_by)) for origin in told["reader"].origins}
    assert ways == {("", ()), ("crew", ("manager", "member"))}
    ann = await either.login("ann", Scope(project_id=leaf.id))
    assert await reason(ann.roles.ListEffectiveAssignments(request)) == "NOT_FOUND"
    request.user_id = user.id
    assert len((await ann.roles.ListEffectiveAssignments(request)).assignments) == 3


async def test_an_implication_brings_a_role_and_its_end_takes_it_with_its_tokens(either: Cloud) -> None:
    admin, (_, project) = await either.admin(), await either.member("bob")
    auditor, reviewer = [
        await admin.roles.CreateRole(role_pb.CreateRoleRequest(name=name)) for name in ("auditor", "reviewer")
    ]
    pair = {"role_id": auditor.id, "implied_role_id": reviewer.id}
    await implications(admin).CreateImplication(implication_pb.CreateImplicationRequest(**pair))
    circle = {"role_id": reviewer.id, "implied_role_id": auditor.id}
    create = implications(admin).CreateImplication(implication_pb.CreateImplicationRequest(**circle))
    assert await reason(create) == "INVALID_ARGUMENT"
    user = await either.user("ann")
    await either.grant(user.id, "auditor", project_id=project.id)
    ann, other = await either.login("ann", Scope(project_id=project.id)), await either.login("bob")
    assert set(ann.info.roles) == {"auditor", "reviewer"}
    await implications(admin).DeleteImplication(implication_pb.DeleteImplicationRequest(**pair))
    assert (await still(ann), await still(other)) == ("TOKEN_REVOKED", "holds")
    assert set((await either.login("ann", Scope(project_id=project.id))).info.roles) == {"auditor"}
    named = {role.name: role.id for role in (await admin.roles.ListRoles(role_pb.ListRolesRequest())).roles}
    standard = {"role_id": named["member"], "implied_role_id": named["reader"]}
    end = implications(admin).DeleteImplication(implication_pb.DeleteImplicationRequest(**standard))
    assert await reason(end) == "IN_USE"
    escalating = {"role_id": auditor.id, "implied_role_id": named["admin"]}
    create = implications(admin).CreateImplication(implication_pb.CreateImplicationRequest(**escalating))
    assert await reason(create) == "INVALID_ARGUMENT"


async def test_a_domains_manager_gives_what_they_have_there_and_no_more(world: Cloud) -> None:
    domain, far = await world.domain("north"), await world.project("far")
    user = await world.user("boss", domain_id=domain.id)
    await world.grant(user.id, "manager", domain_id=domain.id)
    boss = await world.login("boss", Scope(domain_id=domain.id), domain_name="north")
    project = await boss.projects.CreateProject(project_pb.CreateProjectRequest(name="p"))

    def give(role, **target):
        where = target or {"project_id": project.id}
        return boss.roles.GrantRole(role_pb.GrantRoleRequest(user_id=user.id, role_name=role, **where))

    assert (await give("manager")).role_name == "manager"
    assert await reason(give("admin")) == "PERMISSION_DENIED"
    assert await reason(give("reader", system=True)) == "PERMISSION_DENIED"
    assert await reason(give("reader", project_id=far.id)) == "NOT_FOUND"
    group = await groups(boss).CreateGroup(group_pb.CreateGroupRequest(name="crew"))
    join = group_pb.AddMemberRequest(group_id=group.id, user_id=user.id)
    admin = await world.admin()
    held = {"group_id": group.id, "role_name": "reader", "project_id": far.id}
    await admin.roles.GrantRole(role_pb.GrantRoleRequest(**held))
    assert await reason(groups(boss).AddMember(join)) == "PERMISSION_DENIED"
    await admin.roles.RevokeRole(role_pb.RevokeRoleRequest(**held))
    await groups(boss).AddMember(join)


async def test_a_user_of_another_domain_is_put_into_a_group_by_the_system_alone(either: Cloud) -> None:
    domain, stranger = await either.domain("north"), await either.user("ann", email="ann@else.where")
    project = await either.project("p", domain_id=domain.id)
    user = await either.user("boss", domain_id=domain.id, email="boss@here")
    await either.grant(user.id, "manager", domain_id=domain.id)
    boss = await either.login("boss", Scope(domain_id=domain.id), domain_name="north")
    group = await groups(boss).CreateGroup(group_pb.CreateGroupRequest(name="crew"))
    join = group_pb.AddMemberRequest(group_id=group.id, user_id=stranger.id)
    assert await reason(groups(boss).AddMember(join)) == "NOT_FOUND"
    await groups(boss).AddMember(group_pb.AddMemberRequest(group_id=group.id, user_id=user.id))
    admin = await either.admin()
    await groups(admin).AddMember(join)
    asked = group_pb.ListMembersRequest(group_id=group.id)
    told = {person: (await groups(person).ListMembers(asked)).users for person in (boss, admin)}
    assert [(one.name, one.email, one.enabled) for one in told[boss]] == [
        ("ann", "", False),
        ("boss", "boss@here", True),
    ]
    assert (told[boss][0].id, told[boss][0].domain_id) == (stranger.id, stranger.domain_id)
    assert told[admin][0] == stranger
    given = {"group_id": group.id, "role_name": "member", "project_id": project.id}
    await boss.roles.GrantRole(role_pb.GrantRoleRequest(**given))
    ann = await either.login("ann", Scope(project_id=project.id))
    await groups(boss).RemoveMember(group_pb.RemoveMemberRequest(group_id=group.id, user_id=stranger.id))
    assert await still(ann) == "TOKEN_REVOKED"
