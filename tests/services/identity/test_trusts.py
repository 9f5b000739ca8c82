"""Trusts: rights lent to another user, passed on, and taken back."""

from datetime import timedelta

import pytest

from mesh import clock, ids
from services.identity.store import delegations
from tests.services.identity.conftest import PASSWORD, SYSTEM, Cloud, Person, Scope, password_login
from tests.services.identity.delegating import credential, program, trust, trustee, trusts
from tests.services.identity.test_login import reason
from weft.identity.v1 import domain_service_pb2 as domain_pb
from weft.identity.v1 import project_service_pb2 as project_pb
from weft.identity.v1 import role_service_pb2 as role_pb
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1 import trust_service_pb2 as pb
from weft.identity.v1 import user_service_pb2 as user_pb

GET_TOKEN = token_pb.GetTokenRequest()


async def lent(world: Cloud, **more) -> tuple[Person, Person, pb.Trust]:
    """Ann, a manager of her project; Bob, who has nothing there; and what she lends him."""
    ann, _ = await world.member("ann", "manager")
    bob, _ = await world.member("bob")
    return ann, bob, await trust(ann, bob.info.user_id, **more)


async def test_a_trustee_acts_for_oneself_or_in_the_trustors_name(either: Cloud) -> None:
    ann, bob, made = await lent(either, roles=["member"])
    acting = await trustee(either, "bob", made.id)
    said = await acting.tokens.GetToken(GET_TOKEN)
    assert (said.user_id, said.project_id) == (bob.info.user_id, ann.info.project_id)
    assert (set(said.roles), said.delegation_id) == ({"member", "reader"}, made.id)
    disguised = await trust(ann, bob.info.user_id, impersonate=True)
    acting = await trustee(either, "bob", disguised.id)
    assert acting.info.user_id == ann.info.user_id
    assert set(acting.info.roles) == {"manager", "member", "reader"}
    by_token = await either.rescope(bob, Scope(trust_id=disguised.id))
    assert by_token.info.user_id == ann.info.user_id
    assert by_token.info.expires_at == bob.info.expires_at


async def test_nobody_but_the_trustee_takes_it_up(world: Cloud) -> None:
    _, bob, made = await lent(world)
    await world.member("carl")
    robot = await program(world, await credential(bob))
    for login in (
        trustee(world, "ann", made.id),
        trustee(world, "carl", made.id),
        trustee(world, "bob", made.id, "wrong"),
        trustee(world, "bob", ids.new()),
        world.rescope(robot, Scope(trust_id=made.id)),
    ):
        assert await reason(login) == "UNAUTHENTICATED"
    assert (await trustee(world, "bob", made.id)).info.delegation_id == made.id


async def test_it_gives_so_many_tokens_and_none_after_its_end(either: Cloud) -> None:
    end = clock.now() + timedelta(minutes=30)
    ann, bob, made = await lent(either, uses=2, expires_at=clock.to_proto(end))
    first = await trustee(either, "bob", made.id)
    assert first.info.expires_at.ToDatetime() <= end.replace(tzinfo=None)
    await either.rescope(first)
    await trustee(either, "bob", made.id)
    assert await reason(trustee(either, "bob", made.id)) == "UNAUTHENTICATED"
    left = await trusts(ann).GetTrust(pb.GetTrustRequest(id=made.id))
    assert (left.HasField("uses_left"), left.uses_left) == (True, 0)
    unending = await trust(ann, bob.info.user_id, expires_at=clock.to_proto(end))
    assert not unending.HasField("uses_left")
    await trustee(either, "bob", unending.id)
    with clock.told_by(lambda: end + timedelta(seconds=1)):
        assert await reason(trustee(either, "bob", unending.id)) == "UNAUTHENTICATED"
        assert await reason(first.tokens.GetToken(GET_TOKEN)) == "TOKEN_EXPIRED"


async def test_a_token_of_it_goes_nowhere_else_and_hands_nothing_on(world: Cloud) -> None:
    ann, bob, made = await lent(world, impersonate=True)
    other = await world.project("also ann's")
    await world.grant(ann.info.user_id, "member", project_id=other.id)
    acting = await trustee(world, "bob", made.id)
    for scope in (Scope(project_id=other.id), Scope(), SYSTEM, Scope(project_id=bob.info.project_id)):
        assert await reason(world.rescope(acting, scope)) == "UNAUTHENTICATED"
    assert await reason(trust(acting, bob.info.user_id)) == "PERMISSION_DENIED"
    assert await reason(credential(acting)) == "PERMISSION_DENIED"
    change = user_pb.SetPasswordRequest(id=ann.info.user_id, password="bobs now", original_password=PASSWORD)
    assert await reason(acting.users.SetPassword(change)) == "PERMISSION_DENIED"
    end = pb.DeleteTrustRequest(id=made.id)
    assert await reason(trusts(acting).DeleteTrust(end)) == "PERMISSION_DENIED"
    assert await reason(trusts(bob).DeleteTrust(end)) == "PERMISSION_DENIED"
    await trusts(ann).DeleteTrust(end)
    assert await reason(acting.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"


async def test_it_is_passed_on_as_often_as_it_says_and_never_with_more(either: Cloud) -> None:
    ann, _, made = await lent(either, roles=["member"], redelegation=2, uses=3)
    carl, dora = await either.user("carl"), await either.user("dora")
    bob = await trustee(either, "bob", made.id)
    for wrong in ({"redelegation": 2}, {"impersonate": True}):
        assert await reason(trust(bob, carl.id, **wrong)) == "INVALID_ARGUMENT"
    assert await reason(trust(bob, carl.id, roles=["manager"])) == "PERMISSION_DENIED"
    second = await trust(bob, carl.id, redelegation=1)
    assert (second.parent_id, second.trustor_user_id) == (made.id, bob.info.user_id)
    carls = await trustee(either, "carl", second.id)
    assert set(carls.info.roles) == {"member", "reader"}
    third = await trust(carls, dora.id, roles=["reader"])
    doras = await trustee(either, "dora", third.id)
    assert (doras.info.user_id, list(doras.info.roles)) == (dora.id, ["reader"])
    assert await reason(trust(doras, carl.id)) == "PERMISSION_DENIED"
    assert await reason(trustee(either, "dora", third.id)) == "UNAUTHENTICATED"  # the first gave three tokens
    await trusts(ann).DeleteTrust(pb.DeleteTrustRequest(id=made.id))
    for acting in (bob, carls, doras):
        assert await reason(acting.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    assert await reason(trustee(either, "dora", third.id)) == "UNAUTHENTICATED"


@pytest.mark.parametrize("who", ["ann", "bob", "carl"])
@pytest.mark.parametrize("change", ["disabled", "password", "deleted"])
async def test_it_ends_with_everybody_in_the_chain(world: Cloud, who: str, change: str) -> None:
    _, _, made = await lent(world, redelegation=1, impersonate=True)
    carl = await world.user("carl")
    second = await trust(await trustee(world, "bob", made.id), carl.id, impersonate=True)
    acting = await trustee(world, "carl", second.id)
    admin = await world.admin()
    found = await admin.users.ListUsers(user_pb.ListUsersRequest(name=who))
    id = found.users[0].id
    await acting.tokens.GetToken(GET_TOKEN)
    match change:
        case "disabled":
            off = user_pb.UpdateUserRequest(id=id, user={}, update_mask={"paths": ["enabled"]})
            await admin.users.UpdateUser(off)
        case "password":
            await admin.users.SetPassword(user_pb.SetPasswordRequest(id=id, password="another one"))
        case "deleted":
            await admin.users.DeleteUser(user_pb.DeleteUserRequest(id=id))
    assert await reason(acting.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    if change == "password":
        password = "another one" if who == "carl" else PASSWORD
        again = await trustee(world, "carl", second.id, password)
        assert again.info.delegation_id == second.id
    else:
        assert await reason(trustee(world, "carl", second.id)) == "UNAUTHENTICATED"


@pytest.mark.parametrize("impersonate", [True, False])
async def test_it_ends_with_the_domain_of_anybody_in_the_chain(either: Cloud, impersonate: bool) -> None:
    ann, _ = await either.member("ann")
    north, carl = await either.domain("north"), await either.user("carl")
    bob = await either.user("bob", domain_id=north.id)
    made = await trust(ann, bob.id, redelegation=1, impersonate=impersonate)
    login = password_login("bob", Scope(trust_id=made.id), domain_name="north")
    bobs = either.bearer(await either.nobody().tokens.CreateToken(login))
    second = await trust(bobs, carl.id, impersonate=impersonate)
    carls = await trustee(either, "carl", second.id)
    off = domain_pb.UpdateDomainRequest(id=north.id, domain={}, update_mask={"paths": ["enabled"]})
    for acting in (bobs, carls):
        await acting.tokens.GetToken(GET_TOKEN)
    await (await either.admin()).domains.UpdateDomain(off)
    for acting in (bobs, carls):
        assert await reason(acting.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    assert await reason(trustee(either, "carl", second.id)) == "UNAUTHENTICATED"
    await ann.tokens.GetToken(GET_TOKEN)


async def test_it_ends_when_the_trustor_loses_the_role_or_the_project(either: Cloud) -> None:
    ann, _, made = await lent(either, roles=["member"])
    acting = await trustee(either, "bob", made.id)
    admin = await either.admin()
    named = {"user_id": ann.info.user_id, "role_name": "manager", "project_id": ann.info.project_id}
    await admin.roles.RevokeRole(role_pb.RevokeRoleRequest(**named))
    assert await reason(acting.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    assert await reason(trustee(either, "bob", made.id)) == "UNAUTHENTICATED"
    await admin.roles.GrantRole(role_pb.GrantRoleRequest(**named))
    acting = await trustee(either, "bob", made.id)
    off = project_pb.UpdateProjectRequest(
        id=ann.info.project_id, project={}, update_mask={"paths": ["enabled"]}
    )
    await admin.projects.UpdateProject(off)
    assert await reason(acting.tokens.GetToken(GET_TOKEN)) == "TOKEN_REVOKED"
    assert await reason(trustee(either, "bob", made.id)) == "UNAUTHENTICATED"
    await admin.projects.DeleteProject(project_pb.DeleteProjectRequest(id=ann.info.project_id))
    gone = trusts(admin).GetTrust(pb.GetTrustRequest(id=made.id))
    assert await reason(gone) == "NOT_FOUND"


async def test_strangers_see_nothing_of_it(world: Cloud) -> None:
    ann, bob, made = await lent(world)
    carl, _ = await world.member("carl", "admin")
    for id in (made.id, ids.new()):
        assert await reason(trusts(carl).GetTrust(pb.GetTrustRequest(id=id))) == "NOT_FOUND"
        assert await reason(trusts(carl).DeleteTrust(pb.DeleteTrustRequest(id=id))) == "NOT_FOUND"
    whose = pb.ListTrustsRequest(user_id=ann.info.user_id)
    assert await reason(trusts(carl).ListTrusts(whose)) == "NOT_FOUND"
    assert (await trusts(carl).ListTrusts(pb.ListTrustsRequest())).trusts == []
    for person in (ann, bob):
        found = await trusts(person).ListTrusts(pb.ListTrustsRequest())
        assert [one.id for one in found.trusts] == [made.id]
    given = pb.ListTrustsRequest(trustor_user_id=bob.info.user_id)
    assert (await trusts(bob).ListTrusts(given)).trusts == []
    assert await reason(trust(ann, ids.new())) == "NOT_FOUND"
    request = password_login("bob", Scope(trust_id=made.id))
    assert (await world.nobody().tokens.CreateToken(request)).info.delegation_id == made.id


async def test_what_has_ended_can_be_looked_at_for_a_while_and_is_then_deleted(either: Cloud) -> None:
    end = clock.to_proto(clock.now() + timedelta(minutes=30))
    ann, bob, once = await lent(either, uses=1)
    short, lasting = await trust(ann, bob.info.user_id, expires_at=end), await trust(ann, bob.info.user_id)
    robot = await credential(ann, expires_at=end)
    await trustee(either, "bob", once.id)
    database, at = either.runtime.database, clock.now()
    assert await database.write(delegations.forget) == 0
    with clock.told_by(lambda: at + delegations.KEPT + timedelta(hours=1)):
        assert await database.write(delegations.forget) == 3
    for gone in (once, short):
        assert await reason(trusts(ann).GetTrust(pb.GetTrustRequest(id=gone.id))) == "NOT_FOUND"
    assert await reason(program(either, robot)) == "UNAUTHENTICATED"
    assert (await trustee(either, "bob", lasting.id)).info.delegation_id == lasting.id


async def test_a_role_of_ones_own_can_be_lent_and_who_administers_the_system_lists_all(either: Cloud) -> None:
    admin = await either.admin()
    await admin.roles.CreateRole(role_pb.CreateRoleRequest(name="auditor"))
    (ann, _), (bob, _) = await either.member("ann", "auditor"), await either.member("bob", "admin")
    made = await trust(ann, bob.info.user_id, roles=["auditor"])
    assert list((await trustee(either, "bob", made.id)).info.roles) == ["auditor"]
    assert await reason(trust(ann, bob.info.user_id, roles=["reader"])) == "PERMISSION_DENIED"
    every = pb.ListTrustsRequest(all_users=True)
    assert [one.id for one in (await trusts(admin).ListTrusts(every)).trusts] == [made.id]
    assert (await trusts(admin).ListTrusts(pb.ListTrustsRequest())).trusts == []
    given = pb.ListTrustsRequest(all_users=True, trustor_user_id=bob.info.user_id)
    assert (await trusts(admin).ListTrusts(given)).trusts == []
    for person in (ann, bob):
        assert await reason(trusts(person).ListTrusts(every)) == "PERMISSION_DENIED"
    both = pb.ListTrustsRequest(all_users=True, user_id=ann.info.user_id)
    assert await reason(trusts(admin).ListTrusts(both)) == "INVALID_ARGUMENT"
