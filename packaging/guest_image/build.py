"""Builds the small guest image: a Debian kernel, busybox, dropbear and the scripts in overlay/.

    python packaging/guest_image/build.py [--force]

The result is .cache/guest/weft-tiny-<hash>.qcow2, named by what it is made from, and beside it the link
weft-tiny.qcow2. Needs neither root nor a loop device: nothing is mounted, nothing is installed.
"""

import tempfile
from pathlib import Path

import cached
import debian
import disk
import tree

HERE = Path(__file__).resolve().parent


def build(image: Path) -> None:
    """Makes the image at that path, or leaves nothing there."""
    with tempfile.TemporaryDirectory(prefix="weft-guest-") as folder:
        scratch = Path(folder)
        names = debian.package_names()
        cached.say(f"downloading {len(names)} Debian packages, {names[0]} among them")
        packages = debian.unpack(names, scratch)
        cached.say("putting the root tree and the initial RAM disk together")
        root = tree.make_root(packages, HERE / "overlay" / "root", scratch / "root")
        initramfs = tree.make_initramfs(packages, HERE / "overlay" / "initramfs", scratch)
        cached.say("writing the disk: a boot partition with syslinux, a root partition with ext4")
        raw = disk.make(scratch / "disk.raw", debian.kernel(packages), initramfs, HERE / "syslinux.cfg", root)
        disk.compress(raw, image)


if __name__ == "__main__":
    cached.main("weft-tiny", __doc__, build, HERE)
