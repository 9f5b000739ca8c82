"""Logging in with the ID token of an identity provider."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mesh import clock, ids
from tests.services.identity.conftest import Cloud, Person
from tests.services.identity.provider import CLIENT, OddProvider, Page, real_provider
from tests.services.identity.test_login import reason
from weft.identity.v1 import federation_service_pb2 as pb
from weft.identity.v1 import group_service_pb2 as group_pb
from weft.identity.v1 import role_service_pb2 as role_pb
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1 import user_service_pb2 as user_pb
from weft.identity.v1.federation_resources_pb2 import IdentityProvider
from weft.identity.v1.federation_service_pb2_grpc import FederationServiceStub
from weft.identity.v1.group_service_pb2_grpc import GroupServiceStub
from weft.identity.v1.resources_pb2 import Scope

RULES = [{"user_name": "{name}", "groups": ["{groups}"]}]


def federation(person: Person) -> FederationServiceStub:
    return person.client.stub(FederationServiceStub)


async def trust(cloud: Cloud, issuer: str, **fields: Any) -> IdentityProvider:
    """An identity provider whose users the cloud lets in."""
    said = {"name": f"idp {ids.new()}", "issuer": issuer, "audiences": [CLIENT], "rules": RULES, **fields}
    request = pb.CreateIdentityProviderRequest(**said)
    return await federation(await cloud.admin()).CreateIdentityProvider(request)


async def login(cloud: Cloud, token: str, scope: Any = None, nonce: str = "") -> Person:
    credential = token_pb.IdTokenCredential(token=token, nonce=nonce)
    request = token_pb.CreateTokenRequest(id_token=credential, scope=scope)
    return cloud.bearer(await cloud.nobody().tokens.CreateToken(request))


async def group(cloud: Cloud, name: str, **target: Any) -> str:
    """A new group that is a member of the target."""
    admin = await cloud.admin()
    made = await admin.client.stub(GroupServiceStub).CreateGroup(group_pb.CreateGroupRequest(name=name))
    grant = role_pb.GrantRoleRequest(group_id=made.id, role_name="member", **target)
    await admin.roles.GrantRole(grant)
    return made.id


async def alive(person: Person) -> bool:
    return not isinstance(await _ended(person.tokens.GetToken(token_pb.GetTokenRequest())), Exception)


async def _ended(call: Any) -> Any:
    return (await asyncio.gather(call, return_exceptions=True))[0]


@pytest.fixture
def odd() -> Iterator[OddProvider]:
    provider = OddProvider()
    yield provider
    provider.close()


@pytest.mark.filterwarnings("ignore")
async def test_somebody_of_a_real_provider_logs_in_and_has_what_their_groups_have(
    either: Cloud, free_port: Callable[[], int]
) -> None:
    port = free_port()
    project = await either.project("lab")
    await group(either, "ops", project_id=project.id)
    with real_provider(port) as provider:
        provider.person("ann", email="ann@north.example", groups=["ops", "no such group"])
        rules = [{"user_name": "{email}", "email": "{email}", "groups": ["{groups}"]}]
        await trust(either, provider.issuer, rules=rules)
        ann = await login(either, provider.id_token("ann", "n-1"), Scope(project_id=project.id), "n-1")
        assert (ann.info.user_name, list(ann.info.methods)) == ("ann@north.example", ["openid"])
        assert set(ann.info.roles) == {"member", "reader"}
        again = await login(either, provider.id_token("ann"))
        assert (again.info.user_id, again.info.scope) == (ann.info.user_id, "none")
        assert await reason(login(either, provider.id_token("ann", "n-1"), nonce="n-2")) == "UNAUTHENTICATED"
    with real_provider(port) as provider, clock.told_by(_in(seconds=11)):
        provider.person("ann", email="ann@north.example")
        rotated = await login(either, provider.id_token("ann"))
        assert rotated.info.user_id == ann.info.user_id


def _in(**span: int) -> Callable[[], Any]:
    then = clock.now() + timedelta(**span)
    return lambda: then


def hostile(odd: OddProvider) -> dict[str, str]:
    """Tokens that must not pass, by what is wrong with them."""
    now, other = int(time.time()), rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = odd.token()
    head, body, signature = good.split(".")
    return {
        "another's key": odd.token(other),
        "a key that nobody has": odd.token(kid="nobody's"),
        "no algorithm": odd.token("", algorithm="none"),
        "a secret instead of a key": odd.token("s" * 32, algorithm="HS256"),
        "another issuer": odd.token(iss="https://elsewhere.example"),
        "no issuer": odd.token(iss=None),
        "an issuer that is no text": odd.token(iss=None, **{"iss ": 1}),
        "for another audience": odd.token(aud="other"),
        "for several, issued to another": odd.token(aud=[CLIENT, "other"], azp="other"),
        "for several, issued to nobody": odd.token(aud=[CLIENT, "other"]),
        "issued to another": odd.token(azp="other"),
        "for nobody": odd.token(aud=None),
        "over": odd.token(exp=now - 60, iat=now - 300),
        "without an end": odd.token(exp=None),
        "from the future": odd.token(iat=now + 600, exp=now + 900),
        "not yet good": odd.token(nbf=now + 600),
        "about nobody": odd.token(sub=None),
        "about an empty subject": odd.token(sub=""),
        "about a long subject": odd.token(sub="s" * 256),
        "a nonce that was not asked for": odd.token(nonce="n"),
        "named by no rule": odd.token(name=None),
        "without its signature": f"{head}.{body}.",
        "with another body": f"{head}.{body[:-4]}AAAA.{signature}",
        "cut": good[:-20],
        "no token": "x",
    }


async def test_hostile_tokens_of_a_provider_never_pass(world: Cloud, odd: OddProvider) -> None:
    await trust(world, odd.issuer)
    for why, token in hostile(odd).items():
        assert await reason(login(world, token)) == "UNAUTHENTICATED", why
    assert (await login(world, odd.token())).info.user_name == "ann"
    assert (await login(world, odd.token(nonce="n"), nonce="n")).info.user_name == "ann"
    assert (await login(world, odd.token(aud=[CLIENT, "other"], azp=CLIENT))).info.user_name == "ann"


async def test_a_key_is_fetched_once_and_again_when_it_rotates(world: Cloud, odd: OddProvider) -> None:
    await trust(world, odd.issuer)
    newer = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    turned = odd.token(newer, kid="two")
    with clock.told_by(_in(seconds=0)):
        for _ in range(3):
            await login(world, odd.token())
        assert odd.asked.count("/jwks") == 1
        odd.publish(one=odd.key, two=newer)
        assert await reason(login(world, turned)) == "UNAUTHENTICATED"  # so soon nobody makes us ask again
    with clock.told_by(_in(seconds=11)):
        assert (await login(world, turned)).token
        assert await reason(login(world, odd.token(kid="three"))) == "UNAUTHENTICATED"
    assert odd.asked.count("/jwks") == 2
    odd.pages.clear()
    with clock.told_by(_in(minutes=20)):
        assert (await login(world, turned)).token  # while it is away what is known holds
    with clock.told_by(_in(hours=25)):
        assert await reason(login(world, turned)) == "UNAVAILABLE"


DISCOVERY = "/.well-known/openid-configuration"


def broken(odd: OddProvider) -> dict[str, tuple[str, Page]]:
    """Answers that are not to be believed, and where they are given."""
    answers = {}
    for path in ("/jwks", DISCOVERY):
        right = odd.pages[path]
        aside = {"location": f"{odd.issuer}/aside"}
        answers[f"{path}: a redirect"] = path, Page(status=302, headers=aside)
        answers[f"{path}: too much"] = path, Page(right.content + b" " * (1 << 19))
        answers[f"{path}: not there"] = path, Page(status=404)
        answers[f"{path}: no JSON"] = path, Page(b"<html>")
        answers[f"{path}: a list"] = path, Page(b"[" + right.content + b"]")
    jwks = f'"jwks_uri": "{odd.issuer}/jwks"'.encode()
    answers["another issuer"] = DISCOVERY, Page(b'{"issuer": "https://other.example", ' + jwks + b"}")
    file = f'{{"issuer": "{odd.issuer}", "jwks_uri": "file:///etc/passwd"}}'
    answers["keys in a file"] = DISCOVERY, Page(file.encode())
    inside = f'{{"issuer": "{odd.issuer}", "jwks_uri": "http://192.0.2.1/"}}'
    answers["keys in a network"] = DISCOVERY, Page(inside.encode())
    answers["keys that are none"] = "/jwks", Page(b'{"keys": {}}')
    return answers


async def test_of_a_provider_nothing_is_believed_but_a_small_document_of_its_own(
    world: Cloud, odd: OddProvider
) -> None:
    await trust(world, odd.issuer)
    start, right = clock.now(), dict(odd.pages)
    odd.pages["/aside"] = right["/jwks"]
    for n, (why, (path, page)) in enumerate(broken(odd).items()):
        odd.pages[path] = page
        then = start + timedelta(seconds=11 * n)
        with clock.told_by(lambda then=then: then):
            assert await reason(login(world, odd.token())) == "UNAVAILABLE", why
        odd.pages[path] = right[path]
    assert "/aside" not in odd.asked
    with clock.told_by(_in(hours=1)):
        assert (await login(world, odd.token())).token


ELSEWHERE = [
    "http://192.0.2.1/",
    "file:///etc/passwd",
    "https://",
    "gopher://127.0.0.1",
    "http://localhost.evil.example",
    "https://user:pass@idp.example",
    "http://127.0.0.1.evil.example",
    "http://[::ffff:10.0.0.1]/",
    "nonsense",
]


async def test_an_address_that_is_neither_https_nor_this_machine_is_refused(world: Cloud) -> None:
    made = await trust(world, "https://idp.example", jwks_url="https://keys.example/jwks")
    admin = federation(await world.admin())
    for url in ELSEWHERE:
        assert await reason(trust(world, url)) == "INVALID_ARGUMENT", url
        assert await reason(trust(world, "https://b.example", jwks_url=url)) == "INVALID_ARGUMENT", url
        moved = pb.UpdateIdentityProviderRequest(id=made.id, identity_provider={"jwks_url": url})
        assert await reason(admin.UpdateIdentityProvider(moved)) == "INVALID_ARGUMENT", url


async def test_who_is_here_already_is_not_taken_over_by_a_name(world: Cloud, odd: OddProvider) -> None:
    await world.user("ann")
    await trust(world, odd.issuer)
    for name in ("ann", "admin"):
        assert await reason(login(world, odd.token(name=name))) == "UNAUTHENTICATED"
    bob = await login(world, odd.token(sub="2", name="bob"))
    assert await reason(login(world, odd.token(sub="3", name="bob"))) == "UNAUTHENTICATED"
    renamed = await login(world, odd.token(sub="2", name="robert"))
    assert (renamed.info.user_id, renamed.info.user_name) == (bob.info.user_id, "bob")


async def test_groups_hold_as_long_as_the_token_and_as_the_provider_says_so(
    either: Cloud, odd: OddProvider
) -> None:
    red, blue = await either.project("red"), await either.project("blue")
    await group(either, "reds", project_id=red.id)
    blues = await group(either, "blues", project_id=blue.id)
    await trust(either, odd.issuer)
    scopes = Scope(project_id=red.id), Scope(project_id=blue.id)
    first = await login(either, odd.token(groups=["reds"]), scopes[0])
    assert await alive(await either.rescope(first, scopes[0]))
    second = await login(either, odd.token(groups=["blues"]), scopes[1])
    assert not await alive(first)
    assert await reason(login(either, odd.token(groups=["blues"]), scopes[0])) == "UNAUTHENTICATED"
    admin = await either.admin()
    added = group_pb.AddMemberRequest(group_id=blues, user_id=second.info.user_id)
    await admin.client.stub(GroupServiceStub).AddMember(added)
    with clock.told_by(_in(hours=2)):
        plain = odd.token(exp=int(time.time()) + 8000)
        assert (await login(either, plain, scopes[1])).info.project_id == blue.id
    third = await login(either, odd.token(groups=["reds"]), scopes[0])
    mine = await third.client.stub(GroupServiceStub).ListMyGroups(group_pb.ListMyGroupsRequest())
    assert {each.name for each in mine.groups} == {"reds", "blues"}
    with clock.told_by(_in(hours=2)):
        listed = role_pb.ListEffectiveAssignmentsRequest(project_id=red.id)
        fresh = await either.admin()
        assert not (await fresh.roles.ListEffectiveAssignments(listed)).assignments


async def test_a_provider_that_is_disabled_or_deleted_lets_nobody_in_and_out_goes_who_was(
    either: Cloud, odd: OddProvider
) -> None:
    made = await trust(either, odd.issuer)
    admin = federation(await either.admin())
    ann = await login(either, odd.token())
    local = await either.login("admin", None, either.admin_password)
    deletion = pb.DeleteIdentityProviderRequest(id=made.id)
    assert await reason(admin.DeleteIdentityProvider(deletion)) == "WRONG_STATUS"
    off = pb.UpdateIdentityProviderRequest(
        id=made.id, identity_provider={}, update_mask={"paths": ["enabled"]}
    )
    await admin.UpdateIdentityProvider(off)
    assert not await alive(ann)
    assert await alive(local)
    assert await reason(login(either, odd.token())) == "UNAUTHENTICATED"
    on = pb.UpdateIdentityProviderRequest(id=made.id, identity_provider={"enabled": True})
    await admin.UpdateIdentityProvider(on)
    assert (await login(either, odd.token())).info.user_id == ann.info.user_id
    await admin.UpdateIdentityProvider(off)
    await admin.DeleteIdentityProvider(deletion)
    users = (await either.admin()).users
    assert await reason(users.GetUser(user_pb.GetUserRequest(id=ann.info.user_id))) == "NOT_FOUND"


async def test_somebody_of_a_provider_has_no_password(world: Cloud, odd: OddProvider) -> None:
    await trust(world, odd.issuer)
    ann = await login(world, odd.token())
    admin = await world.admin()
    given = user_pb.SetPasswordRequest(id=ann.info.user_id, password="a good password")
    assert await reason(admin.users.SetPassword(given)) == "WRONG_STATUS"
    assert await reason(world.login("ann", password="a good password")) == "UNAUTHENTICATED"
    disabled = user_pb.UpdateUserRequest(id=ann.info.user_id, user={}, update_mask={"paths": ["enabled"]})
    await admin.users.UpdateUser(disabled)
    assert not await alive(ann)
    assert await reason(login(world, odd.token())) == "UNAUTHENTICATED"


async def test_first_logins_at_once_make_one_user(either: Cloud, odd: OddProvider) -> None:
    await trust(either, odd.issuer)
    people = await asyncio.gather(*(login(either, odd.token()) for _ in range(5)))
    assert len({each.info.user_id for each in people}) == 1


async def test_providers_are_the_systems_and_take_rules_that_can_be_read(world: Cloud) -> None:
    made = await trust(world, "https://idp.example", description="the company's")
    admin = federation(await world.admin())
    assert await admin.GetIdentityProvider(pb.GetIdentityProviderRequest(id=made.id)) == made
    assert made.rules[0].user_name == "{name}"
    listed = await admin.ListIdentityProviders(pb.ListIdentityProvidersRequest(name=made.name))
    assert list(listed.identity_providers) == [made]
    assert await reason(trust(world, "https://idp.example")) == "ALREADY_EXISTS"
    assert await reason(trust(world, "https://b.example", name=made.name)) == "ALREADY_EXISTS"
    ann, _ = await world.member("ann", "admin")
    get = pb.GetIdentityProviderRequest(id=made.id)
    assert await reason(federation(ann).GetIdentityProvider(get)) == "PERMISSION_DENIED"
    for rules in (
        [],
        [{"groups": ["only"]}],
        [{"user_name": "{"}],
        [{"user_name": "{a b}"}],
        [{"user_name": "x", "conditions": [{"any_of": ["a"]}]}],
    ):
        assert await reason(trust(world, "https://c.example", rules=rules)) == "INVALID_ARGUMENT", rules
        change = pb.UpdateIdentityProviderRequest(
            id=made.id, identity_provider={"rules": rules}, update_mask={"paths": ["rules"]}
        )
        assert await reason(admin.UpdateIdentityProvider(change)) == "INVALID_ARGUMENT", rules
