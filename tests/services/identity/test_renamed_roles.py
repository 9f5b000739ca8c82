"""Roles get other names: the tokens that carry the old ones end, and what was given stays."""

from tests.services.identity.conftest import Cloud, Person, Scope
from tests.services.identity.delegating import credential, program
from tests.services.identity.test_groups import groups, implications, still
from tests.services.identity.test_login import reason
from weft.identity.v1 import group_service_pb2 as group_pb
from weft.identity.v1 import implication_service_pb2 as implication_pb
from weft.identity.v1 import resources_pb2
from weft.identity.v1 import role_service_pb2 as pb


async def role(admin: Person, name: str, **more) -> resources_pb2.Role:
    """A new role."""
    return await admin.roles.CreateRole(pb.CreateRoleRequest(name=name, **more))


async def change(person: Person, id: str, **values) -> resources_pb2.Role:
    """The role with other values."""
    options = {key: values.pop(key) for key in ("expected_revision", "validate_only") if key in values}
    mask = {"paths": list(values)}
    return await person.roles.UpdateRole(
        pb.UpdateRoleRequest(id=id, role=values, update_mask=mask, **options)
    )


async def test_a_new_name_ends_the_tokens_of_all_who_have_the_role_and_of_nobody_else(either: Cloud) -> None:
    admin = await either.admin()
    project, auditor, boss = (
        await either.project("p"),
        await role(admin, "auditor"),
        await role(admin, "boss"),
    )
    pair = implication_pb.CreateImplicationRequest(role_id=boss.id, implied_role_id=auditor.id)
    await implications(admin).CreateImplication(pair)
    people = {name: await either.user(name) for name in ("ann", "bob", "carl", "dora")}
    crew = await groups(admin).CreateGroup(group_pb.CreateGroupRequest(name="crew"))
    await groups(admin).AddMember(group_pb.AddMemberRequest(group_id=crew.id, user_id=people["bob"].id))
    given = {"role_name": "auditor", "project_id": project.id}
    await admin.roles.GrantRole(pb.GrantRoleRequest(group_id=crew.id, **given))
    await either.grant(people["ann"].id, "auditor", project_id=project.id)
    await either.grant(people["carl"].id, "boss", project_id=project.id)
    for name in ("ann", "dora"):
        await either.grant(people[name].id, "reader", project_id=project.id)
    scope = Scope(project_id=project.id)
    having = [await either.login(name, scope) for name in ("ann", "bob", "carl")]
    robot = await credential(having[0], roles=["auditor"])
    dora, running = await either.login("dora", scope), await program(either, robot)
    await change(admin, auditor.id, description="Looks at books.")
    assert {await still(person) for person in (*having, dora, running)} == {"holds"}
    assert (await change(admin, auditor.id, name="reviewer")).description == "Looks at books."
    assert [await still(person) for person in (*having, running)] == ["TOKEN_REVOKED"] * 4
    assert await still(dora) == "holds"
    again = [set((await either.login(name, scope)).info.roles) for name in ("ann", "bob", "carl")]
    assert again == [{"reviewer", "reader"}, {"reviewer"}, {"boss", "reviewer"}]
    assert list((await program(either, robot)).info.roles) == ["reviewer"]
    assert await reason(admin.roles.GrantRole(pb.GrantRoleRequest(group_id=crew.id, **given))) == "NOT_FOUND"


async def test_no_name_comes_to_stand_for_another_role(either: Cloud) -> None:
    admin, (ann, _) = await either.admin(), await either.member("ann", "admin")
    north, south = await either.domain("north"), await either.domain("south")
    listed = await admin.roles.ListRoles(pb.ListRolesRequest(name="member"))
    member, own = listed.roles[0], await role(admin, "own")
    local = await role(admin, "local", domain_id=north.id)
    assert await reason(change(admin, member.id, name="fellow")) == "IN_USE"
    assert (await change(admin, member.id, description="d", name="member")).description == "d"
    for id, name in ((own.id, "admin"), (own.id, "local"), (local.id, "own"), (local.id, "service")):
        assert await reason(change(admin, id, name=name)) == "ALREADY_EXISTS"
    other = await role(admin, "other", domain_id=south.id)
    assert (await change(admin, other.id, name="local")).name == "local"
    assert await reason(change(admin, own.id, name="")) == "INVALID_ARGUMENT"
    assert await reason(change(admin, own.id, domain_id=north.id)) == "INVALID_ARGUMENT"
    assert await reason(change(ann, own.id, name="mine")) == "PERMISSION_DENIED"
    assert await reason(change(admin, ann.info.user_id, name="mine")) == "NOT_FOUND"
    assert await reason(change(admin, own.id, name="mine", expected_revision=9)) == "REVISION_MISMATCH"
    assert (await change(admin, own.id, name="mine", validate_only=True)).name == "mine"
    assert (await admin.roles.GetRole(pb.GetRoleRequest(id=own.id))) == own
