"""Which cloud a command is for: options, environment, what login kept."""

from pathlib import Path

import click
import pytest

from cli.session import Cloud, Clouds, Session


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_what_is_kept_is_read_again_and_is_for_its_owner_alone() -> None:
    kept = Clouds("here", {"here": Cloud("host:1", "/ca.crt", 'to"ken\\', "dana", "demo", "soon")})
    kept.write()
    assert Clouds.read() == kept
    assert Clouds.path().stat().st_mode & 0o777 == 0o600


def test_options_go_before_what_is_kept_and_that_before_the_defaults() -> None:
    assert Session().resolved().endpoint == "127.0.0.1:7800"
    Clouds("here", {"here": Cloud("kept:1", "/kept.crt", "kept")}).write()
    assert Session().resolved() == Cloud("kept:1", "/kept.crt", "kept")
    said = Session(endpoint="https://said:2/", token="said").resolved()
    assert said == Cloud("said:2", "/kept.crt", "said")


def test_an_unknown_cloud_is_no_cloud() -> None:
    Clouds("here", {"here": Cloud("kept:1")}).write()
    assert Session(cloud="here").resolved().endpoint == "kept:1"
    with pytest.raises(click.UsageError, match="no cloud there"):
        Session(cloud="there").resolved()


def test_a_broken_file_is_said_to_be_broken() -> None:
    Clouds.path().parent.mkdir(parents=True)
    Clouds.path().write_text("[clouds.x]\nnonsense = 1\n")
    with pytest.raises(click.UsageError, match="correct it"):
        Clouds.read()


async def test_without_the_ca_nothing_is_trusted() -> None:
    with pytest.raises(click.UsageError, match="CA certificate"):
        async with Session(ca="/nowhere/ca.crt").client():
            pytest.fail("a client was made")
