"""What the kernel can do: found by doing it, in a network namespace that ends with the look."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cli.doctor.finding import Finding

_KVM_API = 0xAE00  # KVM_GET_API_VERSION of linux/kvm.h
# What is tried, and the module that brings it where it is none of the kernel's own.
_LINKS = {
    "bridge": ("ip link add br0 type bridge", "bridge"),
    "veth": ("ip link add ve0 type veth peer name ve1", "veth"),
    "vxlan": ("ip link add vx0 type vxlan id 1 dstport 4789", "vxlan"),
    "tap": ("ip tuntap add tap0 mode tap", "tun"),
    "br_netfilter": ("test -e /proc/sys/net/bridge/bridge-nf-call-iptables", "br_netfilter"),
    "nftables": ("nft add table inet w && nft add table bridge w", "nf_tables"),
    "conntrack": (
        "nft 'add table inet w; add chain inet w c { type filter hook forward priority 0; };"
        " add rule inet w c ct state established accept'",
        "nf_conntrack",
    ),
}


def look() -> Iterator[Finding]:
    """Rights, virtualization, network."""
    yield _rights()
    yield _kvm()
    if os.geteuid() == 0:
        yield _network()


def _rights() -> Finding:
    if os.geteuid() == 0:
        return Finding("rights", "root")
    return Finding("rights", "not root: hosts make namespaces, taps and guests", "sudo weft up")


def _kvm() -> Finding:
    """Not a fault where it is missing: guests then run by translation, many times slower."""
    slow = "guests run by TCG, several times slower"
    try:
        device = os.open("/dev/kvm", os.O_RDWR)
    except OSError as error:
        mend = "modprobe kvm_intel || modprobe kvm_amd; virtualization may be off in the firmware"
        return Finding("KVM", f"/dev/kvm: {error.strerror}; {slow}", mend, hint=True)
    try:
        version = fcntl.ioctl(device, _KVM_API)
    except OSError as error:
        return Finding("KVM", f"/dev/kvm does not answer: {error.strerror}; {slow}", "dmesg", hint=True)
    finally:
        os.close(device)
    flags = Path("/proc/cpuinfo").read_text().split()
    if "vmx" not in flags and "svm" not in flags:
        what = "/dev/kvm opens, but the processor shows neither vmx nor svm"
        return Finding("KVM", f"{what}; {slow}", "a machine with hardware virtualization", hint=True)
    return Finding("KVM", f"/dev/kvm answers, version {version}; a host tries it with a guest before use")


def _network() -> Finding:
    missing = {name: module for name, (words, module) in _LINKS.items() if not _works(words)}
    if not missing:
        return Finding("network", f"{', '.join(_LINKS)} work")
    mend = f"modprobe -a {' '.join(missing.values())}"
    return Finding("network", f"do not work here: {', '.join(missing)}", mend)


def _works(words: str) -> bool:
    result = subprocess.run(["unshare", "--net", "sh", "-c", words], capture_output=True, check=False)
    return result.returncode == 0
