"""Logging in on the command line by what is more, or other, than a password."""

import uuid
from pathlib import Path

import pytest

from tests.cli.conftest import Cloud, Said, as_administrator
from tests.client_authority import ClientAuthority
from tests.services.identity.test_totp import code
from weft.identity.v1.totp_service_pb2 import Totp


class Visitor:
    """Somebody with a home of their own, who logs in."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._own = {"XDG_CONFIG_HOME": str(cloud.home / f"visitor-{uuid.uuid4()}")}

    def login(self, *words: str, **environ: str) -> Said:
        where = ("--endpoint", self._cloud.layout.endpoint, "--ca", str(self._cloud.layout.ca))
        return self._cloud.run(*where, "login", *words, **self._own, **environ)

    def who(self) -> dict[str, str]:
        return self._cloud.run("whoami", "-o", "json", **self._own).json


@pytest.fixture
def visitor(cloud: Cloud) -> Visitor:
    return Visitor(cloud)


def test_a_certificate_of_a_provider_logs_in_whom_it_names(
    cloud: Cloud, visitor: Visitor, tmp_path: Path
) -> None:
    people, name = ClientAuthority(), f"ann {uuid.uuid4()}"
    said = ("--certificate-authorities", people.pem, "--rule", "user_name={subject.CN}")
    provider = f"people {uuid.uuid4()}"
    made = as_administrator(cloud, "identity-provider", "create", provider, *said)
    assert made.status == 0, made.err
    for stem, authority in (("ann", people), ("stranger", ClientAuthority())):
        pair = authority.issue(name)
        (tmp_path / f"{stem}.crt").write_text(pair[0])
        (tmp_path / f"{stem}.key").write_text(pair[1])
        (tmp_path / f"{stem}.pem").write_text("".join(pair))

    def shown(stem: str) -> tuple[str, ...]:
        files = ("--certificate", str(tmp_path / f"{stem}.crt"), "--key", str(tmp_path / f"{stem}.key"))
        return (*files, "--provider", provider)

    assert visitor.login(*shown("stranger")).status == 4
    assert visitor.login(*shown("ann")[:4]).status == 2
    found = visitor.login(*shown("ann"))
    assert found.status == 0, found.err
    assert visitor.who()["user_name"] == name
    both = visitor.login("--certificate", str(tmp_path / "ann.pem"), "--provider", provider)
    assert both.status == 0, both.err


def test_who_has_a_second_factor_gives_its_code(cloud: Cloud, visitor: Visitor) -> None:
    name, password = f"bob-{uuid.uuid4()}", f"of bob {uuid.uuid4()}"
    assert as_administrator(cloud, "user", "create", name, "--password", password).status == 0
    device = as_administrator(cloud, "totp", "create", "--user", name, "-o", "json")
    assert device.status == 0, device.err
    secret = Totp(secret=device.json["secret"])
    assert visitor.login("--user", name, WEFT_PASSWORD=password).status == 0
    confirmed = as_administrator(cloud, "totp", "confirm", "--user", name, "--totp-code", code(secret))
    assert confirmed.status == 0, confirmed.err
    assert visitor.login("--user", name, WEFT_PASSWORD=password).status == 1  # there is nobody to be asked
    wrong = visitor.login("--user", name, "--totp-code", code(secret, 99), WEFT_PASSWORD=password)
    assert wrong.status == 4
    # The code after the one that was used up is good already.
    right = visitor.login("--user", name, WEFT_PASSWORD=password, WEFT_TOTP_CODE=code(secret, 1))
    assert right.status == 0, right.err
    assert visitor.who()["user_name"] == name
