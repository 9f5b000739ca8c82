"""A PostgreSQL cluster of the tests' own: in a temporary directory, on a unix socket, with no port open."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Durable as in production (fsync stays on): only what does not change behaviour is made small.
_SETTINGS = {"listen_addresses": "", "max_connections": "200", "shared_buffers": "32MB"}


def binaries() -> Path | None:
    """Where Debian keeps the newest PostgreSQL's programs; None when it is not installed."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def cluster() -> Iterator[str]:
    """A running cluster; the URL of its database. As root it runs as Debian's postgres user."""
    programs = binaries()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed: make env-test")
    directory = Path(tempfile.mkdtemp(prefix="weft-pg-"))
    user = _give_to_postgres(directory)
    data = directory / "data"
    _run(user, programs / "initdb", "-A", "trust", "-U", "weft", "-D", data, "--no-instructions")
    options = " ".join(f"-c {key}='{value}'" for key, value in _SETTINGS.items())
    start = f"{options} -k {directory}"
    _run(user, programs / "pg_ctl", "-D", data, "-w", "-l", directory / "log", "-o", start, "start")
    try:
        yield f"postgresql+psycopg://weft@/postgres?host={directory}"
    finally:
        _run(user, programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
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
