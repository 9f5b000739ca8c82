"""Debian packages as files: downloaded by apt, unpacked by dpkg, never installed."""

import os
import subprocess
from pathlib import Path

KERNEL = "linux-image-cloud-amd64"
PROGRAMS = ("busybox-static", "dropbear-bin", "e2fsprogs")
LIBRARIES = (
    "libc6",
    "libcrypt1",
    "libgmp10",
    "libtomcrypt1",
    "libtommath1",
    "zlib1g",
    "libblkid1",
    "libcom-err2",
    "libext2fs2",
    "libuuid1",
)


def package_names() -> list[str]:
    """Every package of the image. The cloud kernel's own name is that of its newest version's package."""
    if not (found := _kernel_package()):
        subprocess.run(["apt-get", "-q", "update"], check=True)
        found = _kernel_package()
    return [found, *PROGRAMS, *LIBRARIES]


def _kernel_package() -> str:
    shown = subprocess.run(["apt-cache", "depends", KERNEL], capture_output=True, text=True, check=False)
    depends = [line.split()[-1] for line in shown.stdout.splitlines() if "Depends: linux-image" in line]
    return depends[0] if depends else ""


def unpack(names: list[str], scratch: Path) -> Path:
    """Downloads the packages and answers a folder with all their files.

    Raises subprocess.CalledProcessError where apt cannot get one; its own words are on the terminal.
    """
    archives, target = scratch / "archives", scratch / "packages"
    archives.mkdir()
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names]
    if subprocess.run(command, cwd=archives, stdout=subprocess.DEVNULL, check=False).returncode:
        # the lists may name versions that the archive has replaced since
        subprocess.run(["apt-get", "-q", "update"], check=True)
        subprocess.run(command, cwd=archives, stdout=subprocess.DEVNULL, check=True)
    for package in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, target], check=True)
    return target


def kernel(packages: Path) -> Path:
    (found,) = (packages / "boot").glob("vmlinuz-*")
    return found


def kernel_release(packages: Path) -> str:
    return kernel(packages).name.removeprefix("vmlinuz-")


def busybox(packages: Path) -> Path:
    return packages / "bin" / "busybox"


def library(packages: Path, name: str) -> Path:
    """A shared library by the name that programs ask for it by."""
    for folder in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"):
        if (path := packages / folder / name).exists():
            return Path(os.path.realpath(path))
    raise FileNotFoundError(f"{name} is in none of the image's packages")
