"""Words become values of the contract's fields, or a sentence that says what was expected."""

import base64
from pathlib import Path

import click
import pytest

from cli.contract import Field, contracts
from cli.values import value

C = contracts()


def field(resource: str, verb: str, name: str) -> Field:
    return next(f for f in C.verbs[resource][verb].fields if f.name == name)


def test_a_bare_word_for_a_message_is_the_id_that_it_is_about() -> None:
    networks = field("server", "create", "networks")
    assert value(C, networks, ["net"]) == [{"network_id": "net"}]
    assert value(C, field("server", "create", "volumes"), ["data"]) == [{"volume_id": "data"}]


def test_pairs_and_json_fill_a_message() -> None:
    networks = field("server", "create", "networks")
    assert value(C, networks, ["network=net,fixed-ip=10.0.0.5", '{"port_id": "p"}']) == [
        {"network_id": "net", "fixed_ip": "10.0.0.5"},
        {"port_id": "p"},
    ]
    volumes = field("server", "create", "volumes")
    assert value(C, volumes, ["volume=v,delete-on-termination=yes"]) == [
        {"volume_id": "v", "delete_on_termination": True}
    ]


def test_a_file_is_read_for_bytes_and_text(tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_bytes(b"#!/bin/sh\n\xff")
    user_data = field("server", "create", "user_data")
    assert base64.b64decode(value(C, user_data, f"@{file}")) == b"#!/bin/sh\n\xff"
    assert base64.b64decode(value(C, user_data, "echo hi")) == b"echo hi"
    file.write_text("ssh-ed25519 AAAA\n")
    assert value(C, field("key-pair", "create", "public_key"), f"@{file}") == "ssh-ed25519 AAAA"
    assert value(C, field("key-pair", "create", "name"), "@@at") == "@at"


def test_durations_have_units() -> None:
    grace = field("server", "stop", "grace")
    assert value(C, grace, "90s") == value(C, grace, "1.5m") == "90.000000s"
    with pytest.raises(click.UsageError, match="say 90s"):
        value(C, grace, "soon")


@pytest.mark.parametrize("text", ["{not json", "no-such-field=1"])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError):
        value(C, field("server", "create", "networks"), [text])


def test_a_map_takes_pairs() -> None:
    metadata = field("server", "create", "metadata")
    assert value(C, metadata, ["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    with pytest.raises(click.UsageError, match="KEY=VALUE"):
        value(C, metadata, ["a"])
