"""A short run of the chaos, with a fixed seed: `make chaos` has longer ones."""

import subprocess
import sys

import pytest

from tests.chaos.parts import ROOT


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cloud_under_fire_keeps_its_word() -> None:
    words = ["--minutes", "0.7", "--seed", "3", "--hosts", "3", "--real", "0", "--people", "4"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every invariant held" in done.stdout
    assert "server.boot SUCCEEDED" in done.stdout
