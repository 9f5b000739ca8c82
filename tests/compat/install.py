"""The judges: programs of others, each in an environment of its own below .cache/compat.

`python -m tests.compat.install` installs all of them, from whatever index pip is set up with. Their versions
are in judges/<name>.txt; one that is there in those versions is left alone.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LISTS = Path(__file__).with_name("judges")


def installed(name: str) -> Path:
    """The directory of a judge's commands, `python` among them; installed when it is missing or another."""
    wanted, place = _LISTS / f"{name}.txt", ROOT / ".cache" / "compat" / name
    stamp, digest = place / "stamp", hashlib.sha256(wanted.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"[compat] installing {name}", flush=True)
        venv.create(place, with_pip=True, clear=True)
        command = [place / "bin" / "python", "-m", "pip", "install", "-qq", "--requirement", wanted]
        subprocess.run(command, check=True)
        stamp.write_text(digest)
    return place / "bin"


if __name__ == "__main__":
    for file in sorted(_LISTS.glob("*.txt")):
        installed(file.stem)
    sys.exit(0)
