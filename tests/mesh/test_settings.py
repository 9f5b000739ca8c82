"""Settings: defaults, file, environment, and a clear sentence for whatever is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from mesh import settings
from mesh.settings import Section, SettingsError


def load(tmp_path: Path, text: str = "", **environ: str) -> settings.Settings:
    path = tmp_path / "weft.toml"
    path.write_text(text)
    return settings.load(path, environ)


def test_without_a_file_the_defaults_hold() -> None:
    loaded = settings.load(environ={})
    compute = loaded.for_service("compute")
    assert compute.address == "127.0.0.1:7804"
    assert compute.listen == ("127.0.0.1:7804", "unix:/var/lib/weft/run/compute.sock")
    assert compute.database_url == "sqlite:////var/lib/weft/compute.db"
    assert loaded.node.state == "/var/lib/weft/node"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    text = '[services.compute]\naddress = "10.0.0.1:1"\n[node]\nmax_booting = 3\n'
    environ = {"WEFT_SERVICES__COMPUTE__ADDRESS": "10.0.0.2:2", "WEFT_NODE__VCPU_RATIO": "1.5"}
    loaded = load(tmp_path, text, **environ)
    assert loaded.address("compute") == "10.0.0.2:2"
    assert (loaded.node.max_booting, loaded.node.vcpu_ratio) == (3, 1.5)


def test_lists_and_tables_are_given_as_json_in_the_environment(tmp_path: Path) -> None:
    environ = {"WEFT_NODE__LISTEN": '["a:1", "b:2"]', "WEFT_NODE__BRIDGE_MAPPINGS": '{"external": "br0"}'}
    loaded = load(tmp_path, "", **environ)
    assert loaded.node.listen == ["a:1", "b:2"]
    assert loaded.node.bridge_mappings == {"external": "br0"}


def test_on_postgresql_each_service_has_a_schema_of_its_own(tmp_path: Path) -> None:
    loaded = load(tmp_path, '[database]\nurl = "postgresql+psycopg://weft@db/weft"\n')
    assert loaded.for_service("network").database_url.endswith("?options=-csearch_path%3Dnetwork")


def test_a_socket_whose_path_is_too_long_is_not_offered(tmp_path: Path) -> None:
    loaded = load(tmp_path, f'[cloud]\nstate = "/{"x" * 120}"\n')
    assert loaded.for_service("compute").listen == ("127.0.0.1:7804",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[services.compute]\naddress = 7", "services.compute.address in weft.toml: expected str, got int"),
        ("[cloud]\nfoo = 1", "cloud.foo in weft.toml: there is no such setting"),
        ("[clouds]\nname = 'x'", "clouds in weft.toml: there is no such section"),
        ("cloud = 1", "cloud in weft.toml: expected a table, got int"),
        ("[services.cooking]\naddress = 'x'", "services.cooking in weft.toml: there is no such service"),
        ("[cloud]\nlog = 'loud'", "cloud.log in weft.toml: invalid enum value 'loud'"),
        ("[node]\nlisten = [1]", "node.listen[0] in weft.toml: expected str, got int"),
        ("[cloud", "weft.toml: is not TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(sentence)
    assert load(tmp_path, "[cloud]\nname = 'fine'").cloud.name == "fine"


def test_what_is_wrong_in_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"node.max_booting in the environment: expected int, got str"):
        load(tmp_path, "", WEFT_NODE__MAX_BOOTING="many")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.toml: cannot be read"):
        settings.load(tmp_path / "nowhere.toml", {})


def test_a_services_own_table_is_read_by_what_the_service_declares(tmp_path: Path) -> None:
    class Network(Section, frozen=True):
        mtu: int = 1450
        pool: str = "{state}/pool"

    loaded = load(tmp_path, "[network]\nmtu = 9000\n", WEFT_CLOUD__STATE="/s")
    assert loaded.section("network", Network) == Network(mtu=9000, pool="/s/pool")
    with pytest.raises(SettingsError, match=r"network.mtu in the settings"):
        load(tmp_path, "[network]\nmtu = 'big'\n").section("network", Network)


def test_a_process_with_wrong_settings_ends_with_status_78_and_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "weft.toml"
    path.write_text("[cloud]\nname = 7\n")
    script = "from mesh import server; server.run(lambda settings: None)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"WEFT_CONFIG": str(path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == settings.EXIT_STATUS
    assert done.stderr == "weft: cloud.name in weft.toml: expected str, got int\n"


def test_settings_are_printed_without_their_secrets() -> None:
    given = settings.load(
        environ={
            "WEFT_IDENTITY__ADMIN_PASSWORD": "marked-password",
            "WEFT_DATABASE__URL": "postgresql+psycopg://weft:marked-key@db.example/weft",
        }
    )
    printed = repr(given) + repr(given.for_service("identity"))
    assert "marked" not in printed
    assert "db.example" in printed
    assert given.identity.admin_password == "marked-password"
    assert "marked-key" in given.for_service("identity").database_url
