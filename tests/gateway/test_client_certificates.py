"""Logging in with a client certificate, through a real edge."""

import ssl
import tempfile
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.client_authority import ClientAuthority, as_the_edge_says
from tests.gateway.conftest import Cloud
from tests.gateway.test_rest import problem

HEADER = "x-forwarded-client-cert"


@pytest.fixture(scope="module")
def authority() -> ClientAuthority:
    return ClientAuthority()


@pytest.fixture(scope="module")
def provider(cloud: Cloud, authority: ClientAuthority) -> str:
    """The name of the identity provider that the authority's certificates are good for."""
    name = f"company {uuid.uuid4()}"
    rules = [{"user_name": "{subject.CN}"}]
    said = {"name": name, "certificate_authorities": authority.pem, "rules": rules}
    with cloud.client(cloud.login(system=True)) as admin:
        answer = admin.post("/identity/v1/identity-providers", json=said)
    assert answer.status_code == 200, answer.text
    return name


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as found:
        yield Path(found)


def showing(cloud: Cloud, pair: tuple[str, str], folder: Path) -> httpx.Client:
    """A client that shows the certificate."""
    files = folder / "client.crt", folder / "client.key"
    for file, content in zip(files, pair, strict=True):
        file.write_text(content)
    trust = ssl.create_default_context(cafile=str(cloud.ca))
    trust.load_cert_chain(*files)
    return httpx.Client(base_url=cloud.url, verify=trust, timeout=20)


def login(client: httpx.Client, provider: str, **headers: str) -> httpx.Response:
    said = {"client_certificate": {"provider": provider}}
    return client.post("/identity/v1/tokens", json=said, headers=headers)


def test_a_client_certificate_logs_in_whom_it_names(
    cloud: Cloud, authority: ClientAuthority, provider: str, folder: Path
) -> None:
    name = f"ann {uuid.uuid4()}"
    with showing(cloud, authority.issue(name), folder) as ann:
        answer = login(ann, provider)
        assert answer.status_code == 200, answer.text
        assert answer.json()["info"]["user_name"] == name
        token = answer.json()["token"]
        mine = ann.get("/identity/v1/tokens/current", headers={"authorization": f"Bearer {token}"})
        assert mine.json()["user_name"] == name
        # Who shows one may log in by anything else, too.
        said = {"password": {"user_name": "admin", "password": cloud.password}}
        assert ann.post("/identity/v1/tokens", json=said).status_code == 200


def test_what_a_client_says_of_its_certificate_counts_for_nothing(
    cloud: Cloud, authority: ClientAuthority, provider: str, folder: Path
) -> None:
    forged = as_the_edge_says(authority.issue("forged")[0])
    with cloud.client() as bare:
        problem(login(bare, provider, **{HEADER: forged}), 401, "UNAUTHENTICATED")
        problem(login(bare, provider), 401, "UNAUTHENTICATED")
    name = f"ann {uuid.uuid4()}"
    with showing(cloud, authority.issue(name), folder) as ann:
        answer = login(ann, provider, **{HEADER: forged})
        assert answer.json()["info"]["user_name"] == name
    with showing(cloud, ClientAuthority().issue("ann"), folder) as stranger:
        problem(login(stranger, provider, **{HEADER: forged}), 401, "UNAUTHENTICATED")


def test_certificates_of_others_and_such_that_are_over_log_nobody_in(
    cloud: Cloud, authority: ClientAuthority, provider: str, folder: Path
) -> None:
    wrong = {
        "of another authority": ClientAuthority().issue("ann"),
        "over": authority.issue("ann", end=-timedelta(hours=1)),
    }
    for pair in wrong.values():
        with showing(cloud, pair, folder) as client:
            problem(login(client, provider), 401, "UNAUTHENTICATED")
            assert client.get("/identity/v1/keys").status_code == 200
    with showing(cloud, authority.issue("ann"), folder) as ann:
        assert login(ann, provider).status_code == 200
    assert cloud.login()
