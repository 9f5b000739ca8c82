"""Which version landed last: its commit, and how far each service's migrations went.

`python -m tests.upgrade.landed` records the checked-out commit, as `make landed` does. The revisions are kept
beside the commit, so that migrations can be compared where the history is not there.
"""

import importlib
import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from services.__main__ import SERVICES

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("landed.json")


@dataclass(frozen=True)
class Landed:
    """`revisions` are the last of each service's migrations, by service."""

    commit: str
    revisions: dict[str, str]

    def is_in_history(self) -> bool:
        """Whether the commit can be checked out here."""
        found = _git("cat-file", "-e", f"{self.commit}^{{commit}}")
        return found.returncode == 0

    def check_out(self, folder: Path) -> None:
        """Its files, into an empty folder."""
        archive = subprocess.Popen(["git", "archive", self.commit], cwd=ROOT, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", str(folder)], stdin=archive.stdout, check=True)
        assert archive.wait() == 0


def read() -> Landed:
    """What is recorded."""
    return Landed(**json.loads(FILE.read_text()))


def record(commit: str, revisions: dict[str, str]) -> None:
    """Record a version as landed."""
    FILE.write_text(json.dumps(asdict(Landed(commit, revisions)), indent=2) + "\n")


def newest(service: str) -> str:
    """The last migration of a service that is here."""
    migrations = Path(importlib.import_module(f"services.{service}.__main__").MIGRATIONS)
    return max(path.name[:4] for path in migrations.glob("[0-9]*.py"))


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    record(_git("rev-parse", "HEAD").stdout.strip(), {service: newest(service) for service in SERVICES})
