"""Logging in and out, scopes and their lives."""

import asyncio
from datetime import timedelta

import jwt
import pytest

from mesh import clock, ids
from mesh.errors import CloudError
from tests.services.identity.conftest import PASSWORD, SYSTEM, Cloud, Scope, password_login
from weft.identity.v1 import domain_service_pb2 as domain_pb
from weft.identity.v1 import key_service_pb2 as key_pb
from weft.identity.v1 import project_service_pb2 as project_pb
from weft.identity.v1 import resources_pb2
from weft.identity.v1 import role_service_pb2 as role_pb
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1 import user_service_pb2 as user_pb


async def reason(call) -> str:
    """The reason that a call fails with."""
    with pytest.raises(CloudError) as caught:
        await call
    return caught.value.reason


async def test_the_first_administrator_logs_in_to_the_system_and_to_the_first_project(either: Cloud) -> None:
    system = await either.admin()
    assert system.info.scope == "system"
    assert set(system.info.roles) == {"admin", "manager", "member", "reader"}
    own = await either.login("admin", None, either.admin_password)
    assert (own.info.scope, own.info.project_name) == ("project", "admin")
    said = await own.tokens.GetToken(token_pb.GetTokenRequest())
    assert said == own.info
    assert {endpoint.service_type for endpoint in own.answer.catalog} >= {"identity", "compute", "volumev3"}


async def test_a_domain_is_named_by_its_id_too(either: Cloud) -> None:
    domain = await either.domain("north")
    project = await either.project("mine", domain_id=domain.id)
    user = await either.user("ann", domain_id=domain.id)
    await either.grant(user.id, "member", project_id=project.id)
    scope = Scope(project=resources_pb2.NamedProject(name="mine", domain_id=domain.id))
    login = password_login("ann", scope, domain_id=domain.id)
    person = either.bearer(await either.nobody().tokens.CreateToken(login))
    assert (person.info.user_id, person.info.project_id) == (user.id, project.id)
    nowhere = password_login("ann", scope)  # in `Default` there is no such user
    assert await reason(either.nobody().tokens.CreateToken(nowhere)) == "UNAUTHENTICATED"


async def test_every_wrong_login_gets_the_same_answer(world: Cloud) -> None:
    _, project = await world.member("ann")
    other = await world.project("not ann's")
    answers = []
    for request in (
        password_login("ann", password="wrong"),
        password_login("nobody of this name"),
        password_login("ann", domain_name="no such domain"),
        password_login("ann", domain_id=ids.new()),
        password_login("ann", Scope(project={"name": project.name, "domain_id": ids.new()})),
        password_login("ann", Scope(project_id=other.id)),
        password_login("ann", Scope(project_id=ids.new())),
        password_login("ann", Scope(domain_name="Default")),
        password_login("ann", SYSTEM),
    ):
        with pytest.raises(CloudError) as caught:
            await world.nobody().tokens.CreateToken(request)
        answers.append((caught.value.reason, caught.value.message, tuple(caught.value.metadata)))
    assert len(set(answers)) == 1
    assert answers[0][0] == "UNAUTHENTICATED"
    named = resources_pb2.NamedProject(name=project.name)
    assert (await world.login("ann", Scope(project=named))).info.project_id == project.id
    assert (await world.login("ann", Scope())).info.scope == "none"


async def test_a_rescoped_token_lives_no_longer_and_says_how_it_came_about(world: Cloud) -> None:
    person, project = await world.member("ann")
    unscoped = await world.rescope(person, Scope())
    assert (unscoped.info.scope, list(unscoped.info.roles)) == ("none", [])
    later = clock.now() + timedelta(minutes=10)
    with clock.told_by(lambda: later):
        again = await world.rescope(unscoped, Scope(project_id=project.id))
    assert again.info.expires_at == person.info.expires_at
    assert list(again.info.methods) == ["password", "token"]
    assert again.info.id != person.info.id


async def test_a_token_is_refused_when_its_life_is_over(world: Cloud) -> None:
    person, _ = await world.member("ann")
    await person.tokens.GetToken(token_pb.GetTokenRequest())
    later = clock.now() + timedelta(seconds=3601)
    with clock.told_by(lambda: later):
        assert await reason(person.tokens.GetToken(token_pb.GetTokenRequest())) == "TOKEN_EXPIRED"
        assert await reason(world.rescope(person)) == "TOKEN_EXPIRED"


async def test_a_revoked_token_is_refused_at_once_and_others_of_the_user_are_not(either: Cloud) -> None:
    person, project = await either.member("ann")
    second = await either.login("ann", Scope(project_id=project.id))
    await person.tokens.RevokeToken(token_pb.RevokeTokenRequest())
    assert await reason(person.tokens.GetToken(token_pb.GetTokenRequest())) == "TOKEN_REVOKED"
    assert await reason(either.rescope(person)) == "TOKEN_REVOKED"
    check = key_pb.CheckTokenRequest(token=person.token)
    assert await reason(either.service().keys.CheckToken(check)) == "TOKEN_REVOKED"
    assert (await second.tokens.GetToken(token_pb.GetTokenRequest())).project_id == project.id


async def test_only_the_system_revokes_the_token_of_somebody_else(world: Cloud) -> None:
    person, _ = await world.member("ann")
    other, _ = await world.member("bob", "admin")
    request = token_pb.RevokeTokenRequest(token_id=person.info.id)
    assert await reason(other.tokens.RevokeToken(request)) == "PERMISSION_DENIED"
    await person.tokens.GetToken(token_pb.GetTokenRequest())
    await (await world.admin()).tokens.RevokeToken(request)
    assert await reason(person.tokens.GetToken(token_pb.GetTokenRequest())) == "TOKEN_REVOKED"


@pytest.mark.parametrize("what", ["user", "project", "parent", "domain", "password", "role", "deleted"])
async def test_what_takes_a_right_away_ends_its_tokens(either: Cloud, what: str) -> None:
    domain = await either.domain("north")
    parent = await either.project("above", domain_id=domain.id)
    project = await either.project("below", domain_id=domain.id, parent_id=parent.id)
    user = await either.user("ann", domain_id=domain.id)
    await either.grant(user.id, "member", project_id=project.id)
    login = password_login("ann", Scope(project_id=project.id), domain_name="north")
    person = either.bearer(await either.nobody().tokens.CreateToken(login))
    await person.tokens.GetToken(token_pb.GetTokenRequest())
    admin, off = await either.admin(), ["enabled"]
    match what:
        case "user":
            await admin.users.UpdateUser(
                user_pb.UpdateUserRequest(id=user.id, user={}, update_mask={"paths": off})
            )
        case "project" | "parent":
            id = project.id if what == "project" else parent.id
            request = project_pb.UpdateProjectRequest(id=id, project={}, update_mask={"paths": off})
            await admin.projects.UpdateProject(request)
        case "domain":
            request = domain_pb.UpdateDomainRequest(id=domain.id, domain={}, update_mask={"paths": off})
            await admin.domains.UpdateDomain(request)
        case "password":
            await admin.users.SetPassword(user_pb.SetPasswordRequest(id=user.id, password="another one"))
        case "role":
            request = role_pb.RevokeRoleRequest(user_id=user.id, role_name="member", project_id=project.id)
            await admin.roles.RevokeRole(request)
        case "deleted":
            await admin.users.DeleteUser(user_pb.DeleteUserRequest(id=user.id))
    assert await reason(person.tokens.GetToken(token_pb.GetTokenRequest())) == "TOKEN_REVOKED"
    assert await reason(either.nobody().tokens.CreateToken(login)) == "UNAUTHENTICATED"
    assert (await (await either.admin()).tokens.GetToken(token_pb.GetTokenRequest())).scope == "system"


async def test_guesses_are_slowed_down_only_where_they_come_from(world: Cloud) -> None:
    await world.member("ann")
    stranger, known = (("x-forwarded-for", "10.0.0.1, 192.0.2.7"),), (("x-forwarded-for", "192.0.2.8"),)
    anybody = world.nobody().tokens
    for _ in range(5):
        wrong = anybody.CreateToken(password_login("ann", password="wrong"), metadata=stranger)
        assert await reason(wrong) == "UNAUTHENTICATED"
    with pytest.raises(CloudError) as caught:
        await anybody.CreateToken(password_login("ann"), metadata=stranger)
    assert caught.value.reason == "TOO_MANY_ATTEMPTS"
    assert 0 < caught.value.retry_after <= 1
    assert (await anybody.CreateToken(password_login("ann"), metadata=known)).token
    forged = (("x-forwarded-for", "192.0.2.8, 192.0.2.7"),)
    assert await reason(anybody.CreateToken(password_login("ann"), metadata=forged)) == "TOO_MANY_ATTEMPTS"
    later = clock.now() + timedelta(seconds=2)
    with clock.told_by(lambda: later):
        assert (await anybody.CreateToken(password_login("ann"), metadata=stranger)).token
    assert (await anybody.CreateToken(password_login("ann"), metadata=stranger)).token


async def test_guesses_at_names_that_nobody_has_are_slowed_down_too(world: Cloud) -> None:
    attempts = [world.nobody().tokens.CreateToken(password_login("nobody")) for _ in range(8)]
    outcomes = await asyncio.gather(*(reason(attempt) for attempt in attempts))
    assert outcomes.count("UNAUTHENTICATED") == 5
    assert outcomes.count("TOO_MANY_ATTEMPTS") == 3


async def test_one_changes_the_own_password_only_with_the_original(world: Cloud) -> None:
    person, _ = await world.member("ann")
    user_id = person.info.user_id
    bare = user_pb.SetPasswordRequest(id=user_id, password="a new one")
    assert await reason(person.users.SetPassword(bare)) == "INVALID_ARGUMENT"
    wrong = user_pb.SetPasswordRequest(id=user_id, password="a new one", original_password="guess")
    assert await reason(person.users.SetPassword(wrong)) == "UNAUTHENTICATED"
    right = user_pb.SetPasswordRequest(id=user_id, password="a new one", original_password=PASSWORD)
    await person.users.SetPassword(right)
    assert await reason(world.login("ann")) == "UNAUTHENTICATED"
    assert (await world.login("ann", password="a new one")).info.user_id == user_id


async def test_a_user_without_a_password_cannot_log_in_by_one(world: Cloud) -> None:
    await world.user("robot", password="")
    assert await reason(world.login("robot", password="a")) == "UNAUTHENTICATED"
    await world.user("human")
    assert (await world.login("human")).info.scope == "none"


async def test_forged_tokens_never_pass(world: Cloud) -> None:
    person, _ = await world.member("ann")
    header, body, signature = person.token.split(".")
    claims = jwt.decode(person.token, options={"verify_signature": False})
    public = (await world.nobody().keys.ListKeys(key_pb.ListKeysRequest())).keys[0]
    flipped = signature[:-4] + ("A" if signature[-4] != "A" else "B") + signature[-3:]
    forged = [
        "",
        "x",
        "a.b.c",
        f"{header}.{body}.",
        f"{header}.{body}.{flipped}",
        f"{header}.{body[:-2]}.{signature}",
        jwt.encode(claims, None, algorithm="none", headers={"kid": public.kid}),
        jwt.encode(claims, public.public_key.hex(), algorithm="HS256", headers={"kid": public.kid}),
        jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"kid": "../" + public.kid}),
        "e" * 100_000,
    ]
    for token in forged[1:-1]:
        impostor = world.bearer(token_pb.CreateTokenResponse(token=token))
        assert await reason(impostor.tokens.GetToken(token_pb.GetTokenRequest())) == "UNAUTHENTICATED", token
        assert await reason(world.rescope(impostor)) == "UNAUTHENTICATED", token
    assert await reason(world.rescope(world.bearer(token_pb.CreateTokenResponse(token=forged[-1])))) == (
        "INVALID_ARGUMENT"
    )
    assert (await person.tokens.GetToken(token_pb.GetTokenRequest())).user_name == "ann"


async def test_logging_out_ends_every_token_that_came_from_the_one(either: Cloud) -> None:
    person, project = await either.member("ann")
    apart = await either.login("ann", Scope(project_id=project.id))
    unscoped = await either.rescope(person, Scope())
    again = await either.rescope(unscoped, Scope(project_id=project.id))
    aside = await either.rescope(person, Scope(project_id=project.id))
    await unscoped.tokens.RevokeToken(token_pb.RevokeTokenRequest())
    for ended in (unscoped, again):
        assert await reason(ended.tokens.GetToken(token_pb.GetTokenRequest())) == "TOKEN_REVOKED"
        check = key_pb.CheckTokenRequest(token=ended.token)
        assert await reason(either.service().keys.CheckToken(check)) == "TOKEN_REVOKED"
    for living in (person, aside, apart):
        assert (await living.tokens.GetToken(token_pb.GetTokenRequest())).user_name == "ann"
    await person.tokens.RevokeToken(token_pb.RevokeTokenRequest())
    assert await reason(aside.tokens.GetToken(token_pb.GetTokenRequest())) == "TOKEN_REVOKED"
    assert (await apart.tokens.GetToken(token_pb.GetTokenRequest())).user_name == "ann"


async def test_a_token_is_exchanged_so_often_and_no_more(world: Cloud) -> None:
    person, _ = await world.member("ann")
    for _ in range(16):
        person = await world.rescope(person, Scope())
    assert (await person.tokens.GetToken(token_pb.GetTokenRequest())).scope == "none"
    assert await reason(world.rescope(person, Scope())) == "UNAUTHENTICATED"
