"""Images below .cache/guest, each named by what it is made from: made again when a file of that changes."""

import argparse
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "guest"


def say(text: str) -> None:
    print(f"[image] {text}", flush=True)


def recipe(*folders: Path) -> str:
    """A hash of every file that an image is made by."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_mode & 0o111}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def main(name: str, about: str | None, build: Callable[[Path], None], *folders: Path) -> None:
    """A program that makes an image from these folders, and the link `name` to the newest.

    `build` puts it at the path that it is given, or raises and leaves nothing there.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--force", action="store_true", help="build again, with the newest packages")
    force = parser.parse_args().force
    link, image = CACHE / f"{name}.qcow2", CACHE / f"{name}-{recipe(*folders)}.qcow2"
    if image.exists() and not force:
        say(f"{image.relative_to(ROOT)} is up to date")
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    build(image)
    link.unlink(missing_ok=True)
    link.symlink_to(image.name)
    size, took = image.stat().st_size / 2**20, time.monotonic() - started
    say(f"{image.relative_to(ROOT)}: {size:.0f} MiB in {took:.0f} s, also as {link.name}")
