"""What OpenStack's clients are told of a cloud."""

import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cli.main import root
from cli.session import Cloud, Clouds


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    Clouds("here", {"here": Cloud("host:1", "/ca.crt", "a.token", "dana's", "demo", "soon")}).write()
    return tmp_path


def said(*words: str) -> str:
    done = CliRunner().invoke(root, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def read_by_a_shell(lines: str, *names: str, **environ: str) -> list[str]:
    script = lines + "".join(f'printf "%s\\n" "${name}"\n' for name in names)
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.splitlines()


def test_a_shell_reads_who_where_and_for_what_project() -> None:
    found = read_by_a_shell(
        said("openrc"),
        "OS_AUTH_URL",
        "OS_USERNAME",
        "OS_PROJECT_NAME",
        "OS_CACERT",
        "OS_PASSWORD",
        OS_PASSWORD="p",
    )
    assert found == ["https://host:1/identity", "dana's", "demo", "/ca.crt", "p"]


def test_no_secret_is_said_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert "a.token" not in said("openrc") + said("clouds.yaml")
    assert read_by_a_shell(said("openrc", "--with-token"), "OS_TOKEN", "OS_AUTH_TYPE") == [
        "a.token",
        "v3token",
    ]
    (tmp_path / "password").write_text("it's\n")
    lines = said("openrc", "--password-file", str(tmp_path / "password"))
    assert read_by_a_shell(lines, "OS_PASSWORD") == ["it's"]


def test_the_file_is_yaml_of_one_cloud() -> None:
    (cloud,) = yaml.safe_load(said("--project", "other", "clouds.yaml", "--user", "eve"))["clouds"].values()
    assert cloud["auth"] == {
        "auth_url": "https://host:1/identity",
        "username": "eve",
        "user_domain_name": "Default",
        "project_name": "other",
        "project_domain_name": "Default",
    }
    token = yaml.safe_load(said("--cloud", "here", "clouds.yaml", "--with-token"))["clouds"]["here"]
    assert (token["auth"]["token"], token["auth_type"]) == ("a.token", "v3token")


def test_somebody_must_log_in() -> None:
    Clouds("here", {}).write()
    assert CliRunner().invoke(root, ["openrc"]).exit_code == 2
    assert CliRunner().invoke(root, ["openrc", "--with-token"]).exit_code == 2
