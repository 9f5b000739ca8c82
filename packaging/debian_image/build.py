"""Builds a whole Debian with its own cloud-init and OpenSSH, as the images are that people run elsewhere.

    python packaging/debian_image/build.py [--force]

The result is .cache/guest/weft-debian-<hash>.qcow2, and beside it the link weft-debian.qcow2. Needs root, as
mmdebstrap does to keep the owners of files. Nothing in it is of weft: what a guest is told finds it as it is.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent / "guest_image"
sys.path.append(str(TOOLS))

import cached  # noqa: E402
import disk  # noqa: E402

SUITE = "bookworm"
PACKAGES = (
    *("linux-image-cloud-amd64", "systemd-sysv", "udev", "cloud-init", "cloud-guest-utils", "openssh-server"),
    *("ifupdown", "isc-dhcp-client", "resolvconf", "iproute2", "netbase", "sudo", "e2fsprogs", "fdisk"),
)
LEFT_OUT = ("doc", "man", "locale", "info")
# What is the machine's that builds it, or that each guest has of its own.
FOREIGN = ("etc/hostname", "etc/resolv.conf", "etc/ssh/ssh_host_*", "var/lib/dbus/machine-id")
FILES = {
    "etc/fstab": "LABEL=weft-root / ext4 errors=remount-ro 0 1\n",
    # Made anew at the first boot.
    "etc/machine-id": "",
    # As in Debian's own images for clouds: without one cloud-init sets one that was never made, and fails.
    "etc/default/locale": "LANG=C.UTF-8\n",
}
SIZES = disk.Sizes(boot=64, root=1024, journal=16)


def build(image: Path) -> None:
    """Makes the image at that path, or leaves nothing there."""
    with tempfile.TemporaryDirectory(prefix="weft-debian-") as folder:
        scratch = Path(folder)
        cached.say(f"putting Debian {SUITE} together from its packages")
        root = _tree(scratch / "root")
        cached.say("writing the disk: a boot partition with syslinux, a root partition with ext4")
        (kernel,), (initramfs,) = root.glob("boot/vmlinuz-*"), root.glob("boot/initrd.img-*")
        raw = disk.make(scratch / "disk.raw", kernel, initramfs, HERE / "syslinux.cfg", root, SIZES)
        disk.compress(raw, image)


def _tree(root: Path) -> Path:
    """Debian's files as they are in the guest."""
    without = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    words = ["--quiet", "--mode=root", "--variant=apt", f"--include={','.join(PACKAGES)}", *without]
    subprocess.run(["mmdebstrap", *words, SUITE, root], check=True)
    for pattern in FOREIGN:
        for path in root.glob(pattern):
            path.unlink()
    for name, text in FILES.items():
        (root / name).write_text(text)
    return root


if __name__ == "__main__":
    cached.main("weft-debian", __doc__, build, HERE, TOOLS)
