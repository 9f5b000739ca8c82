"""KVM or TCG: chosen by trying, said in the log, and remembered.

That /dev/kvm opens proves little: there are machines on which it does and no ordinary kernel boots. So a
probe guest has to boot with it once; the answer is kept for as long as kernel, QEMU and processor stay.
"""

import json
import logging
import os
import platform
import subprocess
import tempfile
from pathlib import Path

_log = logging.getLogger(__name__)
_PROBE_SECONDS = 60
_MODULES = ("kvm_intel", "kvm_amd")
_KERNEL_SAYS = b"Unable to mount root fs"
_SECTOR_SAYS = b"weft-probe"


def choose(wanted: str, state: Path) -> str:
    """`kvm` or `tcg` for a setting of `auto`, `kvm` or `tcg`. Blocks, at first as long as a boot."""
    if wanted != "auto":
        _log.info("guests run by %s, as the settings say", wanted)
        return wanted
    reason = lacks_kvm()
    if reason:
        _log.info("guests run by tcg: %s", reason)
        return "tcg"
    works = _remembered(state)
    _log.info("guests run by %s", "kvm" if works else "tcg: a probe guest does not boot with kvm")
    return "kvm" if works else "tcg"


def lacks_kvm() -> str:
    """Why this machine cannot have KVM, "" when it may."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm cannot be opened"
    flags = set(Path("/proc/cpuinfo").read_text().split())
    if not flags & {"vmx", "svm"}:
        return "the processor shows neither vmx nor svm"
    if not any(Path("/sys/module", name).exists() for name in _MODULES):
        return "neither kvm_intel nor kvm_amd is loaded"
    return ""


def _remembered(state: Path) -> bool:
    file, key = state / "accelerator.json", _key()
    if file.exists():
        known = json.loads(file.read_text())
        if known.get("key") == key:
            return bool(known["kvm"])
    works = boots("kvm")
    state.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"key": key, "kvm": works}))
    return works


def _key() -> str:
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line for line in lines if line.startswith("model name")), "")
    return "|".join((platform.release(), qemu.stdout.partition("\n")[0], model))


def boots(accelerator: str, kernel: Path | None = None) -> bool:
    """Whether a probe guest really boots with `kvm` or `tcg`.

    With the kernel given, or else the host's own: it has to come as far as missing its root disk. Without
    one, firmware and a boot sector have to run.
    """
    kernel = kernel or _host_kernel()
    with tempfile.TemporaryDirectory() as scratch:
        if kernel:
            return _says(accelerator, _with_kernel(kernel), _KERNEL_SAYS)
        disk = Path(scratch, "probe.img")
        disk.write_bytes(boot_sector().ljust(1 << 20, b"\0"))  # firmware boots no smaller disk
        return _says(accelerator, ["-drive", f"file={disk},format=raw,if=virtio"], _SECTOR_SAYS)


def _host_kernel() -> Path | None:
    found = Path("/boot", f"vmlinuz-{platform.release()}")
    return found if found.exists() else None


def _with_kernel(kernel: Path) -> list[str]:
    return ["-kernel", str(kernel), "-append", "console=ttyS0 panic=-1 no_timer_check"]


def _says(accelerator: str, arguments: list[str], wanted: bytes) -> bool:
    command = ["qemu-system-x86_64", "-accel", accelerator, "-machine", "q35", "-m", "128", "-nodefaults"]
    command += ["-display", "none", "-no-reboot", "-serial", "stdio", *arguments]
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.info("a probe guest with %s: %s", accelerator, type(error).__name__)
        return False
    return wanted in result.stdout


def boot_sector() -> bytes:
    """512 bytes that write a word to the first serial port and reset the machine."""
    code = bytes.fromhex("31c08ed8 be1e7c fc baf803 ac84c07403eeebf8 b0feba6400ee f4ebfd")
    return (code.ljust(30, b"\x90") + _SECTOR_SAYS + b"\n\0").ljust(510, b"\0") + b"\x55\xaa"
