"""Heads of requests as no client sends them, to each dialect: methods, headers, tokens, addresses.

Each beside one that is right.
"""

import httpx
import pytest

from gateway.openstack.app import DIALECTS
from tests.gateway.conftest import Cloud

# A list in each dialect that wants a token.
_LISTS = {
    **{"identity": "/identity/v3/auth/projects", "image": "/image/v2/images"},
    **{"placement": "/placement/resource_providers", "compute": "/compute/v2.1/servers"},
    **{"network": "/network/v2.0/networks", "volume": "/volume/v3/volumes"},
}
_EACH = pytest.mark.parametrize("place", _LISTS.values(), ids=list(_LISTS))
_TOKENS = (
    *("a", "a.b.c", "..", "e30.e30.e30", "x" * 5000, "null", "Bearer a"),
    "a.eyJzY3AiOiJwcm9qZWN0Iiwicm9sIjpbImFkbWluIl19.c",
)
_VERSIONS = (
    *("", "\xff", "x" * 4000, "compute", "compute x.y", "compute 99999999.1", "volume -1.0", "placement 1."),
    *("placement 1.1.1", "2.1.1", "-1.0", "null", "compute 2.1, compute 9.9", ",,,", "compute\t2.1"),
)


@pytest.fixture
def asking(one: httpx.Client, operator: httpx.Client, place: str) -> httpx.Client:
    """Who may look at the list: Placement's is for administrators."""
    return operator if "placement" in place else one


def test_each_dialect_is_among_them() -> None:
    assert set(_LISTS) == {dialect.name for dialect in DIALECTS}


@_EACH
def test_a_method_that_a_path_has_not_is_not_allowed(asking: httpx.Client, place: str) -> None:
    assert asking.get(place).status_code == 200
    for method in ("TRACE", "PROPFIND", "CONNECTED", "X" * 1000, "PATCH", "DELETE"):
        answer = asking.request(method, place)
        assert 400 <= answer.status_code < 500 or answer.status_code == 501, (method, answer.text)
        if answer.status_code == 405:
            assert "GET" in answer.headers["allow"]


@_EACH
@pytest.mark.parametrize("name", ["openstack-api-version", "x-openstack-nova-api-version"])
def test_versions_of_nonsense_are_refused_or_of_no_matter(
    asking: httpx.Client, place: str, name: str
) -> None:
    for value in _VERSIONS:
        answer = asking.get(place, headers={name: value.encode("latin-1")})
        assert answer.status_code == 200 or 400 <= answer.status_code < 500, (value, answer.text)


@_EACH
def test_a_token_of_nonsense_opens_nothing(cloud: Cloud, asking: httpx.Client, place: str) -> None:
    with cloud.client() as client:
        for token in _TOKENS:
            assert client.get(place, headers={"x-auth-token": token}).status_code == 401
        assert client.get(place, headers={"x-auth-token": b"\xff"}).status_code in (400, 401)
        assert client.get(place).status_code == 401
    assert asking.get(place).status_code == 200


@_EACH
def test_headers_that_only_services_send_are_nobodys(cloud: Cloud, asking: httpx.Client, place: str) -> None:
    """What says for whom one acts, or which certificate one has shown, says nothing without a token."""
    claims = {
        "weft-caller-bin": "CgVhZG1pbg==",
        "x-forwarded-client-cert": "URI=spiffe://weft/service/compute",
        "x-envoy-original-path": "/identity/v3/auth/tokens",
        "x-forwarded-for": "127.0.0.1, x",
        "authorization": "Bearer x",
    }
    with cloud.client() as client:
        assert client.get(place, headers=claims).status_code == 401
    del claims["authorization"]
    assert asking.get(place, headers=claims).status_code == 200


@_EACH
def test_heads_without_end_are_cut(asking: httpx.Client, place: str) -> None:
    assert asking.get(place, headers={"x-a": "x" * 5000}).status_code == 200
    for more in ({"x-a": "x" * 200_000}, {f"x-{number}": "x" for number in range(500)}):
        assert asking.get(place, headers=more).status_code == 431
    for trick in (f"?{'a=b&' * 12_000}", f"/{'x' * 48_000}"):
        assert asking.get(f"{place}{trick}", headers={"x-a": "x" * 20_000}).status_code == 431
        assert asking.get(f"{place}{trick}").status_code < 500


@_EACH
def test_a_path_leads_to_no_other_dialect(asking: httpx.Client, place: str) -> None:
    """What is left of it once dots are taken out is asked for what it then says; what hides is refused."""
    assert asking.get(f"/nowhere/..{place}").status_code == 200
    for trick in (
        f"{place}/..%2f..%2f..%2fui",
        f"{place}%5c..",
        f"/%2e%2e%2f{place}",
        f"{place}/%00",
    ):
        answer = asking.get(trick)
        assert 400 <= answer.status_code < 500, (trick, answer.text)
