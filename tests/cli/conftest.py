"""A whole cloud with a simulated host, started and stopped by `weft` itself."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.cloud.layout import Layout
from cli.demo.command import free_port
from cli.demo.leftovers import after_the_end
from tests import memory

WEFT = (sys.executable, "-c", "from cli.main import main; main()")
ROOT = Path(__file__).parents[2]


@dataclass
class Said:
    """What a command ended with and said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, where that is JSON."""
        return json.loads(self.out)


def weft(*words: str, environ: dict[str, str] | None = None, timeout: float = 60) -> Said:
    """Run the command line as a person would."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WEFT_")}
    result = subprocess.run(
        [*WEFT, *words], capture_output=True, text=True, check=False, timeout=timeout, cwd=ROOT,
        env=kept | (environ or {}), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Said(result.returncode, result.stdout, result.stderr)


@dataclass
class Cloud:
    """A running cloud, and a home for the files of who uses it."""

    layout: Layout
    home: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, **environ: str) -> Said:
        """A command as the one who is logged in."""
        return weft(*words, environ=self.environ | environ)

    def made(self, *words: str) -> str:
        """The id of what a command made."""
        said = self.run(*words, "-o", "id")
        assert said.status == 0, said.err
        return said.out.strip()


def as_administrator(cloud: Cloud, *words: str) -> Said:
    """A command of who is logged in for the whole system."""
    home = cloud.home / "system"
    if not home.exists():
        password = ("--password-file", str(cloud.layout.admin_password))
        where = ("--endpoint", cloud.layout.endpoint, "--ca", str(cloud.layout.ca))
        login = cloud.run(
            *where, "login", "--user", "admin", "--system", *password, XDG_CONFIG_HOME=str(home)
        )
        assert login.status == 0, login.err
    return cloud.run(*words, XDG_CONFIG_HOME=str(home))


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """The cloud, with its administrator logged in to the project admin."""
    state = Path(tempfile.mkdtemp(prefix="weft-cli-", dir=memory.folder()))
    home = state.with_name(state.name + "-home")
    setting = 'image.import_from=["127.0.0.1/32"]'
    layout = Layout(state, hypervisor="simulated", port=free_port(), more=(setting,))
    where = ("--state", str(state))
    try:
        up = weft(
            "up", *where, "--port", str(layout.port), "--hypervisor", "simulated", "--detach",
            "--set", setting, timeout=240,
        )  # fmt: skip
        assert up.status == 0, up.err
        cloud = Cloud(layout, home, {"XDG_CONFIG_HOME": str(home)})
        login = cloud.run(
            "--endpoint", layout.endpoint, "--ca", str(layout.ca), "--project", "admin",
            "login", "--user", "admin", "--password-file", str(layout.admin_password),
        )  # fmt: skip
        assert login.status == 0, login.err
        yield cloud
    finally:
        down = weft("down", *where, "--purge")
        shutil.rmtree(home, ignore_errors=True)
    assert down.status == 0, down.err
    assert after_the_end(layout) == []
