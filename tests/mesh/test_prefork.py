"""One process as several: they end together, however it comes to their end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import alive, children

SCRIPT = """
import signal, sys, time
from functools import partial
from pathlib import Path
from mesh import prefork

folder = Path(sys.argv[1])
def work(name):
    signal.signal(signal.SIGTERM, lambda *_: ((folder / f"{name}.told").touch(), sys.exit(0)))
    (folder / f"{name}.runs").touch()
    while not (folder / f"{name}.fail").exists():
        time.sleep(0.02)
    sys.exit(3)
prefork.run({name: partial(work, name) for name in ("first", "second")})
"""


def until(met: Callable[[], bool]) -> None:
    for _ in range(3000):
        if met():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to that")


@contextmanager
def family(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """The parent, and its two children by name, both at work."""
    words = [sys.executable, "-c", SCRIPT, str(folder)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as parent:
        try:
            until(lambda: all((folder / f"{name}.runs").exists() for name in ("first", "second")))
            yield parent, {name: pid for pid, name in children(parent.pid).items()}
        finally:
            parent.kill()


def test_all_end_well_when_their_parent_is_told_to(tmp_path: Path) -> None:
    with family(tmp_path) as (parent, both):
        assert both.keys() == {"first", "second"}
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(60) == 0
        assert {file.stem for file in tmp_path.glob("*.told")} == {"first", "second"}
        assert not any(map(alive, both.values()))


def test_when_one_fails_the_others_are_told_to_end_and_its_status_is_the_whole_ones(tmp_path: Path) -> None:
    with family(tmp_path) as (parent, both):
        (tmp_path / "second.fail").touch()
        assert parent.wait(60) == 3
        assert parent.stderr is not None
        assert parent.stderr.read() == "weft: second ended with status 3, and so all do\n"
        assert (tmp_path / "first.told").exists()
        assert not alive(both["first"])


def test_one_that_is_killed_takes_the_others_along(tmp_path: Path) -> None:
    with family(tmp_path) as (parent, both):
        os.kill(both["first"], signal.SIGKILL)
        assert parent.wait(60) == 128 + signal.SIGKILL
        assert (tmp_path / "second.told").exists()


def test_none_outlives_its_parent(tmp_path: Path) -> None:
    with family(tmp_path) as (parent, both):
        assert all(map(alive, both.values()))
        parent.kill()
        parent.wait(60)
        until(lambda: not any(map(alive, both.values())))
        assert not list(tmp_path.glob("*.told"))
