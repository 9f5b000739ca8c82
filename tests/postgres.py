"""A PostgreSQL cluster of the tests' own: in a temporary directory, on a unix socket, with no port open."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import memory

# Durable as in production (fsync stays on): only what does not change behaviour is made small.
_SETTINGS = {"listen_addresses": "", "max_connections": "200", "shared_buffers": "32MB"}


def binaries() -> Path | None:
    """Where Debian keeps the newest PostgreSQL's programs; None when it is not installed."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


class Cluster:
    """A cluster in `directory`. As root it runs as Debian's postgres user."""

    def __init__(self, directory: Path) -> None:
        programs = binaries()
        if programs is None:
            raise RuntimeError("PostgreSQL is not installed: make env-test")
        self._programs, self._directory, self._data = programs, directory, directory / "data"
        self._user = _give_to_postgres(directory)
        self.url = f"postgresql+psycopg://weft@/postgres?host={directory}"
        self.conninfo = f"host={directory} user=weft dbname=postgres"
        self._run("initdb", "-A", "trust", "-U", "weft", "-D", self._data, "--no-instructions")

    @property
    def pid(self) -> int:
        """The process that all its others are children of."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Run; answered when it takes connections."""
        options = " ".join(f"-c {key}='{value}'" for key, value in _SETTINGS.items())
        start = f"{options} -k {self._directory}"
        self._control("-l", self._directory / "log", "-o", start, "start")

    def stop(self, mode: str = "immediate") -> None:
        """End as by `mode` of pg_ctl: `fast` is orderly, `immediate` like a crash."""
        self._control("-m", mode, "stop")

    def _control(self, *words: object) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", *words)

    def _run(self, program: str, *words: object) -> None:
        _run(self._user, self._programs / program, *words)


def dump(url: str, schema: str) -> bytes:
    """All that pg_dump writes of a schema. `url` as libpq takes it."""
    programs = binaries()
    assert programs is not None
    words = [str(programs / "pg_dump"), "--schema", schema, "--inserts", url]
    return subprocess.run(words, cwd="/", capture_output=True, check=True).stdout


@contextmanager
def cluster() -> Iterator[str]:
    """A running cluster; the URL of its database."""
    directory = Path(tempfile.mkdtemp(prefix="weft-pg-", dir=memory.folder()))
    made = Cluster(directory)
    made.start()
    try:
        yield made.url
    finally:
        made.stop()
        shutil.rmtree(directory)


def _give_to_postgres(directory: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    account = pwd.getpwnam("postgres")
    os.chown(directory, account.pw_uid, account.pw_gid)
    return account.pw_name


def _run(user: str | None, *command: object) -> None:
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, user=user, cwd="/", capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed: {done.stderr or done.stdout}")
