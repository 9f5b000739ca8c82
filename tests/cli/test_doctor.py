"""`weft doctor` finds what is missing, and is content with what is there."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.cloud.layout import DEFAULT_PORT
from cli.cloud.up import port_taken
from cli.doctor import kernel, machine, programs
from cli.doctor.finding import Finding
from cli.main import root


def named(findings: object, name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)  # type: ignore[attr-defined]


def test_a_missing_program_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(programs._PROGRAMS, "no-such-program", "its-package")
    found = named(programs.look(), "programs")
    assert found.mend.startswith("apt-get install")
    assert "its-package" in found.mend
    monkeypatch.delitem(programs._PROGRAMS, "no-such-program")
    assert "its-package" not in named(programs.look(), "programs").mend


def test_a_port_is_taken_only_while_somebody_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert port_taken(port)
    assert not port_taken(port)


def test_a_port_in_use_is_told_with_the_option_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "port_taken", lambda port: port == DEFAULT_PORT)
    found = named(machine.look(tmp_path), "ports")
    assert str(DEFAULT_PORT) in found.found
    assert "--port" in found.mend
    monkeypatch.setattr(machine, "port_taken", lambda port: False)
    assert named(machine.look(tmp_path), "ports").well


@pytest.mark.system
def test_what_the_kernel_cannot_do_is_found_by_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named(kernel.look(), "network").well
    monkeypatch.setitem(kernel._LINKS, "nonsense", ("ip link add x0 type nonsense", "nonsense_module"))
    found = named(kernel.look(), "network")
    assert "do not work here: nonsense" in found.found
    assert found.mend == "modprobe -a nonsense_module"


def test_virtualization_that_is_missing_is_no_fault() -> None:
    kvm = named(kernel.look(), "KVM")
    assert kvm.well or kvm.hint


def test_the_exit_status_says_whether_anything_must_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (programs, kernel, machine):
        monkeypatch.setattr(module, "look", lambda *_: [Finding("thing", "fine")])
    words = ["doctor", "--state", str(tmp_path)]
    assert CliRunner().invoke(root, words).exit_code == 0
    monkeypatch.setattr(kernel, "look", lambda: [Finding("thing", "poor", "a hint", hint=True)])
    assert CliRunner().invoke(root, words).exit_code == 0
    monkeypatch.setattr(kernel, "look", lambda: [Finding("thing", "broken", "mend it")])
    result = CliRunner().invoke(root, words)
    assert result.exit_code == 1
    assert "mend: mend it" in result.output
