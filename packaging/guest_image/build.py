"""Builds the small guest image: a Debian kernel, busybox, dropbear and the scripts in overlay/.

    python packaging/guest_image/build.py [--force]

The result is .cache/guest/weft-tiny-<hash>.qcow2, named by what it is made from, and beside it the link
weft-tiny.qcow2. Needs neither root nor a loop device: nothing is mounted, nothing is installed.
"""

import argparse
import hashlib
import tempfile
import time
from pathlib import Path

import debian
import disk
import tree

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "guest"
LINK = CACHE / "weft-tiny.qcow2"


def say(text: str) -> None:
    print(f"[image] {text}", flush=True)


def recipe() -> str:
    """A hash of every file that the image is made by."""
    digest = hashlib.sha256()
    for path in sorted(HERE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(HERE)}\0{path.stat().st_mode & 0o111}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build(image: Path) -> None:
    """Makes the image at that path, or leaves nothing there."""
    with tempfile.TemporaryDirectory(prefix="weft-guest-") as folder:
        scratch = Path(folder)
        names = debian.package_names()
        say(f"downloading {len(names)} Debian packages, {names[0]} among them")
        packages = debian.unpack(names, scratch)
        say("putting the root tree and the initial RAM disk together")
        root = tree.make_root(packages, HERE / "overlay" / "root", scratch / "root")
        initramfs = tree.make_initramfs(packages, HERE / "overlay" / "initramfs", scratch)
        say("writing the disk: a boot partition with syslinux, a root partition with ext4")
        raw = disk.make(scratch / "disk.raw", debian.kernel(packages), initramfs, HERE / "syslinux.cfg", root)
        disk.compress(raw, image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", action="store_true", help="build again, with the newest packages")
    force = parser.parse_args().force
    image = CACHE / f"weft-tiny-{recipe()}.qcow2"
    if image.exists() and not force:
        say(f"{image.relative_to(CACHE.parent.parent)} is up to date")
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    build(image)
    LINK.unlink(missing_ok=True)
    LINK.symlink_to(image.name)
    size = image.stat().st_size / 2**20
    name = image.relative_to(CACHE.parent.parent)
    say(f"{name}: {size:.0f} MiB in {time.monotonic() - started:.0f} s, also as {LINK.name}")


if __name__ == "__main__":
    main()
