"""The main job: a real guest, from an empty machine to proofs, and nothing left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / ".cache" / "guest" / "weft-tiny.qcow2"
PROOFS = (
    "its address is what DHCP was to give it",
    "its hostname is what metadata says: first",
    "its user data was run",
    "the volume is its disk",
    "port 23, which none allows, gives no answer at all",
    "the file on the volume came along",
    "spans whose cause is not in it: none",
    "it ends in libvirt: yes",
    "domains that are left: none",
    "taps, bridges and tunnels that are left: none",
    "allocations that are left: none",
    "files of guests, volumes and images that are left: none",
)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demonstration_proves_all_that_it_is_to_prove_and_leaves_nothing() -> None:
    assert IMAGE.is_file(), "the guest image is missing: make image"
    command = [sys.executable, "-c", "from cli.main import main; main()", "demo", "--image", str(IMAGE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=580, cwd=ROOT)
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    for proof in PROOFS:
        assert f"proved {proof}" in said, said
    assert "nothing is left behind" in said
