"""The operator's policy: what it may say, what it does, and that it is taken in again while all runs."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mesh import access, contract, server
from mesh.caller import Caller, Kind
from mesh.errors import CloudError
from mesh.policy import Policy, PolicyError
from mesh.settings import Settings
from tests.mesh.cloudlet import cloudlet

CREATE = contract.method("/weft.compute.v1.ServerService/CreateServer")
GET = contract.method("/weft.compute.v1.FlavorService/GetFlavor")


def user(scope: str, *roles: str) -> Caller:
    return Caller(kind=Kind.USER, user_id="u", project_id="p", scope=scope, roles=frozenset(roles))


def written(path: Path, text: str) -> Path:
    """The file with this text, visibly another than before."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)
    return path


def verdict(policy: Policy, who: Caller, method: Any = CREATE) -> str:
    return access.explain(method, who, policy)[-1]


def test_a_rule_raises_or_lowers_the_least_role(tmp_path: Path) -> None:
    file = written(tmp_path / "policy.toml", '["compute.servers.create"]\nrole = "manager"\n')
    assert verdict(Policy(), user("project", "member")) == "Allowed."
    assert verdict(Policy(file), user("project", "member", "reader")) == "Refused: PERMISSION_DENIED."
    assert verdict(Policy(file), user("project", "manager")) == "Allowed."
    written(file, '["compute.servers.create"]\nrole = "reader"\n')
    assert verdict(Policy(file), user("project", "reader")) == "Allowed."
    assert verdict(Policy(file), user("none", "reader")) == "Refused: PERMISSION_DENIED."


def test_a_rule_may_name_roles_of_ones_own_and_nobody_at_all(tmp_path: Path) -> None:
    text = 'roles = ["builder"]\n["compute.servers.create"]\nroles = ["builder"]\n'
    file = written(tmp_path / "policy.toml", text)
    assert verdict(Policy(file), user("project", "builder")) == "Allowed."
    assert verdict(Policy(file), user("project", "admin")) == "Refused: PERMISSION_DENIED."
    written(file, '["compute.servers.create"]\nroles = []\n')
    assert verdict(Policy(file), user("system", "admin")) == "Refused: PERMISSION_DENIED."


def test_a_rule_takes_scopes_away_and_leaves_the_roles(tmp_path: Path) -> None:
    file = written(tmp_path / "policy.toml", '["compute.servers.create"]\nscopes = ["project"]\n')
    assert verdict(Policy(file), user("project", "member")) == "Allowed."
    assert verdict(Policy(file), user("system", "admin")) == "Refused: PERMISSION_DENIED."
    assert verdict(Policy(file), user("project", "reader")) == "Refused: PERMISSION_DENIED."


def test_the_explanation_tells_contract_and_policy_apart(tmp_path: Path) -> None:
    file = written(tmp_path / "policy.toml", '["compute.servers.create"]\nrole = "manager"\n')
    lines = access.explain(CREATE, user("project", "member"), Policy(file))
    assert "By contract: roles member or manager or admin; scopes project or system." in lines
    assert "The policy overrides it: roles manager or admin; scopes project or system." in lines


WRONG = {
    "no such permission": ('["compute.servers.fly"]\nrole = "admin"', "no contract has this permission"),
    "no such role": ('["compute.servers.create"]\nrole = "boss"', "role boss is none of"),
    "an undeclared role": ('["compute.servers.create"]\nroles = ["boss"]', "there is no role boss"),
    "role and roles": ('["compute.servers.create"]\nrole = "admin"\nroles = []', "give one"),
    "a wider scope": (
        '["compute.flavors.create"]\nscopes = ["project"]',
        "scope project is none of the contract's: system",
    ),
    "a word misspelt": ('["compute.servers.create"]\nrolle = "admin"', "rolle"),
    "a host's permission": ('["compute.hosts.heartbeat"]\nrole = "reader"', "is not for holders of tokens"),
    "a service's permission": ('["node.images.stage"]\nrole = "reader"', "is not for holders of tokens"),
    "a public permission": ('["identity.keys.list"]\nroles = []', "is not for holders of tokens"),
    "no TOML": ("[[[", "is not TOML"),
    "roles that are no list": ('roles = "boss"', "expected a list of names"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_policy_that_is_wrong_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    text, sentence = WRONG[kind]
    with pytest.raises(PolicyError, match=sentence) as caught:
        Policy(written(tmp_path / "policy.toml", text))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("policy.toml: ")


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        Policy(tmp_path / "policy.toml")


def ruled_by(settings: Settings, file: Path) -> Settings:
    cloud = msgspec.structs.replace(settings.cloud, policy=str(file))
    return msgspec.structs.replace(settings, cloud=cloud)


async def test_no_process_starts_with_a_wrong_policy(cloud: Settings, tmp_path: Path) -> None:
    file = written(tmp_path / "policy.toml", '["compute.servers.fly"]\n')
    with pytest.raises(PolicyError):
        async with server.running(ruled_by(cloud, file), []):
            pytest.fail("it started")


async def test_a_changed_policy_holds_without_a_restart_and_a_broken_one_does_not(
    cloud: Settings, tmp_path: Path
) -> None:
    file = written(tmp_path / "policy.toml", "")
    async with cloudlet(ruled_by(cloud, file)) as little:
        token = little.signer.token()

        async def allowed() -> bool:
            try:
                await little.get_flavor(token)
            except CloudError as error:
                return {"PERMISSION_DENIED": False}[error.reason]
            return True

        async def becomes(wanted: bool) -> None:
            for _ in range(100):
                if await allowed() is wanted:
                    return
                await asyncio.sleep(0.1)
            pytest.fail("the change of the policy was not taken in")

        assert await allowed()
        assert GET.access is not None
        written(file, f'["{GET.access.permission}"]\nrole = "admin"\n')
        await becomes(False)
        written(file, "[[[")
        little.runtimes["compute"].policy.look()
        assert not await allowed()
        os.unlink(file)
        little.runtimes["compute"].policy.look()
        assert not await allowed()
        written(file, "")
        await becomes(True)
