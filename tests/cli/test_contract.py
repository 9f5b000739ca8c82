"""Commands are made from the contracts: all of them, each with words of its own."""

import click
import pytest
from click.testing import CliRunner

from cli import nouns
from cli.contract import contracts
from cli.main import Root, root
from mesh import contract
from weft.options.v1 import access_pb2

VERBS = [verb for verbs in contracts().verbs.values() for verb in verbs.values()]
PACKAGES = ("identity", "image", "placement", "compute", "network", "block", "telemetry")


def test_every_rpc_for_people_is_a_command_and_no_other_is() -> None:
    wanted = {
        method.path
        for verb in VERBS
        for method in contract.methods(f"{verb.package}.{verb.service}")
        if method.access and method.access.audience in (access_pb2.AUDIENCE_USER, access_pb2.AUDIENCE_PUBLIC)
    }
    assert {verb.path for verb in VERBS} == wanted
    assert {verb.package.split(".")[1] for verb in VERBS} == set(PACKAGES)


def test_no_two_rpcs_share_a_command() -> None:
    assert len(VERBS) == len({verb.path for verb in VERBS})


@pytest.mark.parametrize(
    ("service", "rpc", "words"),
    [
        ("ServerService", "GetServer", ("server", "show")),
        ("ServerService", "AttachVolume", ("server", "attach-volume")),
        ("RouterService", "AddRouterInterface", ("router", "add-interface")),
        ("SecurityGroupService", "CreateSecurityGroupRule", ("security-group-rule", "create")),
        ("VolumeService", "ExtendVolume", ("volume", "extend")),
        ("FlavorService", "AddFlavorAccess", ("flavor", "add-access")),
    ],
)
def test_an_rpc_is_called_what_people_call_it(service: str, rpc: str, words: tuple[str, str]) -> None:
    rpcs = {v.rpc for v in VERBS if v.service == service}
    assert nouns.command(service, rpc, rpcs) == words


def test_a_field_names_the_resource_that_its_id_is_of() -> None:
    resources = contracts().verbs
    assert nouns.referred("flavor", resources) == "flavor"
    assert nouns.referred("source_volume", resources) == "volume"
    assert nouns.referred("remote_group", resources, "security-group-rule") == "security-group"
    assert nouns.referred("remote_group", resources, "user") == "group"
    assert nouns.referred("device", resources) == ""


def commands(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command's words."""
    found: list[tuple[str, ...]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        inner = group.get_command(context, name)
        assert inner is not None
        found += commands(inner, (*words, name)) if isinstance(inner, click.Group) else [(*words, name)]
    return found


def test_every_command_has_help_that_says_what_it_does() -> None:
    assert isinstance(root, Root)
    every = commands(root)
    assert ("server", "console") in every
    assert ("image", "upload") in every
    for words in every:
        result = CliRunner().invoke(root, [*words, "--help"])
        assert result.exit_code == 0, (words, result.output)
        about = result.output.split("\n\n")[1]
        assert about.startswith("  "), (words, result.output)
        assert len(about.split()) > 2, (words, result.output)


def test_options_say_what_the_contract_says_of_the_field() -> None:
    said = " ".join(CliRunner().invoke(root, ["server", "create", "--help"]).output.split())
    assert "--flavor, --flavor-id NAME|ID" in said
    assert "Given to the guest as it is: a script or cloud-config" in said


def test_what_the_contract_wants_is_asked_for_before_a_call_is_made() -> None:
    result = CliRunner().invoke(root, ["server", "create", "x"])
    assert result.exit_code == 2
    assert "--flavor" in result.output


def test_an_enum_takes_its_own_words_only() -> None:
    result = CliRunner().invoke(root, ["server", "reboot", "x", "--type", "gently"])
    assert result.exit_code == 2
    assert "not one of 'soft', 'hard'" in result.output


def test_nothing_to_change_is_said_to_be_nothing() -> None:
    result = CliRunner().invoke(root, ["server", "update", "x"])
    assert result.exit_code == 2
    assert "say what to change" in result.output


def test_no_option_is_without_a_name() -> None:
    said = CliRunner().invoke(root, ["flavor", "create", "--help"]).output
    assert " --id NAME|ID" in said or " --id TEXT" in said
    assert " -, " not in said
