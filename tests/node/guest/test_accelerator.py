"""KVM or TCG, chosen by trying."""

import json
import logging
from pathlib import Path

import pytest

from node.guest import accelerator


@pytest.mark.system
def test_a_probe_guest_boots_by_emulation_and_not_by_what_there_is_not() -> None:
    assert accelerator.boots("tcg")
    assert not accelerator.boots("no-such-accelerator")


def test_the_settings_have_the_last_word(tmp_path: Path) -> None:
    assert accelerator.choose("kvm", tmp_path) == "kvm"
    assert accelerator.choose("tcg", tmp_path) == "tcg"


def test_a_machine_without_kvm_emulates_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accelerator, "lacks_kvm", lambda: "the processor shows neither vmx nor svm")
    with caplog.at_level(logging.INFO):
        assert accelerator.choose("auto", tmp_path) == "tcg"
    assert "neither vmx nor svm" in caplog.text


@pytest.mark.parametrize(("works", "kind"), [(True, "kvm"), (False, "tcg")])
def test_a_probe_decides_once_and_again_only_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool, kind: str
) -> None:
    probes = []
    monkeypatch.setattr(accelerator, "lacks_kvm", lambda: "")
    monkeypatch.setattr(accelerator, "boots", lambda name: probes.append(name) or works)
    assert [accelerator.choose("auto", tmp_path) for _ in range(2)] == [kind, kind]
    assert probes == ["kvm"]
    known = json.loads((tmp_path / "accelerator.json").read_text())
    (tmp_path / "accelerator.json").write_text(json.dumps({**known, "key": "another kernel"}))
    assert accelerator.choose("auto", tmp_path) == kind
    assert probes == ["kvm", "kvm"]
