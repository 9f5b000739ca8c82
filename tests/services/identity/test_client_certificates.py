"""Logging in with a client certificate, as the edge tells of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mesh import clock, ids, peer
from mesh.certificates import Identity as Certified
from tests.client_authority import DAY, ClientAuthority, as_the_edge_says
from tests.services.identity.conftest import Cloud, Person
from tests.services.identity.test_federation import alive, federation, group
from tests.services.identity.test_login import reason
from weft.identity.v1 import federation_service_pb2 as pb
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1.federation_resources_pb2 import IdentityProvider
from weft.identity.v1.resources_pb2 import Scope
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

RULES = [{"user_name": "{subject.CN}", "email": "{san.email}", "groups": ["{subject.OU}"]}]


@pytest.fixture(scope="module")
def authority() -> ClientAuthority:
    return ClientAuthority()


async def trust(cloud: Cloud, authority: ClientAuthority, **fields: Any) -> IdentityProvider:
    """An identity provider whose people have certificates of that authority."""
    said = {"name": "company", "certificate_authorities": authority.pem, "rules": RULES, **fields}
    request = pb.CreateIdentityProviderRequest(**said)
    return await federation(await cloud.admin()).CreateIdentityProvider(request)


async def login(
    cloud: Cloud,
    *headers: str,
    scope: Any = None,
    provider: str = "company",
    by: Certified | None = None,
) -> Person:
    """Log in over a connection of which the peer (the gateway, unless another is named) says so."""
    request = token_pb.CreateTokenRequest(client_certificate={"provider": provider}, scope=scope)
    metadata = tuple((peer.CLIENT_CERTIFICATE, header) for header in headers)
    channel = cloud.client(by)
    answer = await channel.stub(TokenServiceStub).CreateToken(request, metadata=metadata)
    return cloud.bearer(answer)


async def test_who_has_a_certificate_is_who_it_says_with_what_their_groups_have(
    either: Cloud, authority: ClientAuthority
) -> None:
    project = await either.project("lab")
    await group(either, "ops", project_id=project.id)
    made = await trust(either, authority)
    first, _ = authority.issue("ann", names=(x509.RFC822Name("ann@north.example"),), units=("ops", "none"))
    ann = await login(either, as_the_edge_says(first), scope=Scope(project_id=project.id))
    assert (ann.info.user_name, list(ann.info.methods)) == ("ann", ["x509"])
    assert (ann.info.user_domain_id, set(ann.info.roles)) == (made.domain_id, {"member", "reader"})
    renewed, _ = authority.issue("ann", units=("ops", "none"))
    assert (await login(either, as_the_edge_says(renewed))).info.user_id == ann.info.user_id
    other, _ = authority.issue("bob")
    bob = await login(either, as_the_edge_says(other))
    assert (bob.info.user_name, bob.info.scope) == ("bob", "none")
    assert await reason(login(either, as_the_edge_says(other), scope=Scope(project_id=project.id))) == (
        "UNAUTHENTICATED"
    )


async def test_rules_read_every_name_of_a_certificate(world: Cloud, authority: ClientAuthority) -> None:
    conditions = [{"claim": "san.dns", "any_of": ["robots.example"]}, {"claim": "issuer.CN"}]
    rule = {"user_name": "robot {san.uri}", "conditions": conditions}
    await trust(world, authority, rules=[rule])
    uri = x509.UniformResourceIdentifier("urn:robot:7")
    named, _ = authority.issue("", names=(uri, x509.DNSName("robots.example")))
    assert (await login(world, as_the_edge_says(named))).info.user_name == "robot urn:robot:7"
    elsewhere, _ = authority.issue("", names=(uri, x509.DNSName("people.example")))
    assert await reason(login(world, as_the_edge_says(elsewhere))) == "UNAUTHENTICATED"


def hostile(authority: ClientAuthority) -> dict[str, tuple[str, ...]]:
    """Headers of the edge that must let nobody in, by what is wrong with them."""

    def said(by: ClientAuthority = authority, name: str = "ann", **fields: Any) -> str:
        return as_the_edge_says(by.issue(name, **fields)[0])

    good = said()
    return {
        "of another authority": (said(ClientAuthority("others")),),
        "of another authority of the same name": (said(ClientAuthority()),),
        "over": (said(end=-timedelta(hours=1)),),
        "not yet good": (said(start=timedelta(hours=1)),),
        "a server's": (said(use=ExtendedKeyUsageOID.SERVER_AUTH),),
        "an authority's": (said(is_authority=True),),
        "named by no rule": (said(name="", names=(x509.DNSName("a.example"),)),),
        "an unprintable name": (said(name="a\0b"),),
        "a name without end": (said(units=tuple("u" * 60 for _ in range(5))),),
        "the authority itself": (as_the_edge_says(authority.pem),),
        "none": (),
        "two headers": (good, good),
        "two elements": (f"{good},{good}",),
        "no certificate in it": ('Hash=00;Cert=""',),
        "nonsense in it": ('Hash=00;Cert="x"',),
        "not as the edge writes it": (good.removesuffix('"'),),
    }


async def test_certificates_that_do_not_hold_let_nobody_in(world: Cloud, authority: ClientAuthority) -> None:
    await trust(world, authority)
    for why, headers in hostile(authority).items():
        assert await reason(login(world, *headers)) == "UNAUTHENTICATED", why
    good = as_the_edge_says(authority.issue("ann")[0])
    assert await reason(login(world, good, provider="nobody")) == "UNAUTHENTICATED"
    assert (await login(world, good)).info.user_name == "ann"


async def test_nobody_but_the_gateway_says_which_certificate_was_shown(
    world: Cloud, authority: ClientAuthority
) -> None:
    await trust(world, authority)
    good = as_the_edge_says(authority.issue("ann")[0])
    for who in (Certified.service("compute"), Certified.node(ids.new())):
        assert await reason(login(world, good, by=who)) == "UNAUTHENTICATED"
    assert (await login(world, good)).info.user_name == "ann"


async def test_a_token_ends_with_the_certificate(world: Cloud, authority: ClientAuthority) -> None:
    await trust(world, authority)
    ann = await login(world, as_the_edge_says(authority.issue("ann", end=timedelta(minutes=10))[0]))
    bob = await login(world, as_the_edge_says(authority.issue("bob", end=DAY)[0]))
    left = ann.info.expires_at.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
    assert left <= timedelta(minutes=10)
    again = await world.rescope(ann)
    then = clock.now() + timedelta(minutes=11)
    with clock.told_by(lambda: then):
        assert not await alive(ann)
        assert not await alive(again)
        assert await alive(bob)


async def test_who_shows_a_wrong_certificate_again_and_again_waits(
    world: Cloud, authority: ClientAuthority
) -> None:
    await trust(world, authority)
    wrong = as_the_edge_says(ClientAuthority().issue("ann")[0])
    for _ in range(5):
        assert await reason(login(world, wrong)) == "UNAUTHENTICATED"
    assert await reason(login(world, wrong)) == "TOO_MANY_ATTEMPTS"
    assert (await login(world, as_the_edge_says(authority.issue("ann")[0]))).info.user_name == "ann"


async def test_a_provider_that_is_disabled_or_has_another_authority_lets_nobody_in(
    world: Cloud, authority: ClientAuthority
) -> None:
    made = await trust(world, authority)
    admin, good = federation(await world.admin()), as_the_edge_says(authority.issue("ann")[0])

    async def change(**provider: Any) -> IdentityProvider:
        mask = {"paths": list(provider)}
        request = pb.UpdateIdentityProviderRequest(id=made.id, identity_provider=provider, update_mask=mask)
        return await admin.UpdateIdentityProvider(request)

    ann = await login(world, good)
    await change(enabled=False)
    assert not await alive(ann)
    assert await reason(login(world, good)) == "UNAUTHENTICATED"
    await change(enabled=True, certificate_authorities=ClientAuthority().pem)
    assert await reason(login(world, good)) == "UNAUTHENTICATED"
    both = await change(certificate_authorities=ClientAuthority().pem + authority.pem)
    assert both.certificate_authorities.endswith(authority.pem)
    assert (await login(world, good)).info.user_id == ann.info.user_id


async def test_a_provider_vouches_by_tokens_or_by_certificates_of_authorities(
    world: Cloud, authority: ClientAuthority
) -> None:
    made = await trust(world, authority)
    admin = federation(await world.admin())
    assert await admin.GetIdentityProvider(pb.GetIdentityProviderRequest(id=made.id)) == made
    assert (made.certificate_authorities, list(made.audiences)) == (authority.pem, [])
    for wrong in (
        {"issuer": "https://idp.example"},
        {"audiences": ["weft"]},
        {"certificate_authorities": "x"},
        {"certificate_authorities": authority.issue("ann")[0]},
        {"certificate_authorities": authority.pem * 40},
        {"certificate_authorities": ""},
        {"certificate_authorities": "", "issuer": "https://idp.example"},
    ):
        assert await reason(trust(world, authority, name="other", **wrong)) == "INVALID_ARGUMENT", wrong
    for name, value in (("audiences", ["weft"]), ("certificate_authorities", "")):
        change = pb.UpdateIdentityProviderRequest(
            id=made.id, identity_provider={name: value}, update_mask={"paths": [name]}
        )
        assert await reason(admin.UpdateIdentityProvider(change)) == "INVALID_ARGUMENT", name
    assert (await trust(world, authority, name="other")).certificate_authorities == authority.pem
