"""The judges: programs of others, each in an environment of its own below .cache/compat.

`python -m tests.compat.install` installs all of them, from whatever index pip is set up with. Their versions
are in judges/<name>.txt; one that is there in those versions is left alone. Debian's own are lists of
packages in judges/<name>.debian, which are unpacked and never installed.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "packaging" / "guest_image"))
import debian  # noqa: E402

_PLACE = ROOT / ".cache" / "compat"


def installed(name: str) -> Path:
    """The directory of a judge's commands, `python` among them; installed when it is missing or another."""
    with _missing(name, "txt") as place:
        if place:
            venv.create(place, with_pip=True)
            pip = [place / "bin" / "python", "-m", "pip", "install", "-qq"]
            subprocess.run([*pip, "--requirement", _list(name, "txt")], check=True)
    return _PLACE / name / "bin"


def unpacked(name: str) -> Path:
    """The root of a tree with a judge's Debian packages; unpacked when it is missing or another."""
    with _missing(name, "debian") as place, tempfile.TemporaryDirectory() as scratch:
        if place:
            packages = _list(name, "debian").read_text().split()
            shutil.move(debian.unpack(packages, Path(scratch)), place)
    return _PLACE / name


def _list(name: str, kind: str) -> Path:
    return Path(__file__).with_name("judges") / f"{name}.{kind}"


@contextmanager
def _missing(name: str, kind: str) -> Iterator[Path | None]:
    """Where to put a judge that is missing or another than its list says; None where it is there."""
    place = _PLACE / name
    stamp, digest = place.with_suffix(".stamp"), hashlib.sha256(_list(name, kind).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        yield None
        return
    print(f"[compat] installing {name}", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    yield place
    stamp.write_text(digest)


_KINDS = {".txt": installed, ".debian": unpacked}

if __name__ == "__main__":
    for file in sorted(Path(__file__).with_name("judges").iterdir()):
        if file.suffix in _KINDS:
            _KINDS[file.suffix](file.stem)
