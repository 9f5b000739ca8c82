"""The guest's root tree and its initial RAM disk."""

import shutil
import subprocess
from pathlib import Path

import debian

FOLDERS = "bin sbin proc sys dev run tmp mnt root/.ssh etc/dropbear lib64 lib/modules var/lib/weft-guest"
PROGRAMS = ("usr/sbin/dropbear", "usr/bin/dropbearkey", "sbin/mke2fs")
LIBRARIES = (
    *("libtomcrypt.so.1", "libtommath.so.1", "libgmp.so.10", "libz.so.1", "libcrypt.so.1", "libc.so.6"),
    *("libext2fs.so.2", "libe2p.so.2", "libcom_err.so.2", "libblkid.so.1", "libuuid.so.1"),
)
LOADER = "ld-linux-x86-64.so.2"
# What it takes to find the root disk; the rest is loaded by what hardware is there. The cloud kernel has no
# AHCI, so a CD-ROM has to be on virtio-scsi or the old IDE controller.
BOOT_MODULES = ("virtio_pci", "virtio_blk")
MODULES = (
    *BOOT_MODULES,
    *("virtio_net", "virtio_console", "virtio_balloon", "virtio-rng", "virtio_scsi", "sd_mod", "sr_mod"),
    *("ata_piix", "isofs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "button", "evdev"),
)


def make_root(packages: Path, overlay: Path, root: Path) -> Path:
    """Everything below / in the guest, apart from what is mounted there."""
    for folder in FOLDERS.split():
        (root / folder).mkdir(parents=True, exist_ok=True)
    _add_busybox(packages, root)
    for program in PROGRAMS:
        shutil.copy2(packages / program, root / "bin")
    for name in ("mkfs.ext2", "mkfs.ext4"):
        (root / "bin" / name).symlink_to("mke2fs")
    for name in LIBRARIES:
        shutil.copy2(debian.library(packages, name), root / "lib" / name)
    shutil.copy2(debian.library(packages, LOADER), root / "lib64" / LOADER)
    _add_modules(packages, MODULES, root)
    shutil.copytree(overlay, root, dirs_exist_ok=True, symlinks=True)
    (root / "root" / ".ssh").chmod(0o700)
    return root


def make_initramfs(packages: Path, overlay: Path, scratch: Path) -> Path:
    """A gzipped cpio archive that mounts the root partition and goes on there."""
    folder, archive = scratch / "initramfs", scratch / "initrd.gz"
    for name in ("bin", "proc", "sys", "dev", "root", "lib/modules"):
        (folder / name).mkdir(parents=True)
    shutil.copy2(debian.busybox(packages), folder / "bin")
    _add_modules(packages, BOOT_MODULES, folder)
    shutil.copytree(overlay, folder, dirs_exist_ok=True)
    command = "find . | sort | cpio --create --format=newc --quiet --owner=0:0 | gzip -9"
    with archive.open("wb") as output:
        subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, stdout=output, check=True)
    return archive


def _add_busybox(packages: Path, root: Path) -> None:
    source = debian.busybox(packages)
    shutil.copy2(source, root / "bin")
    listed = subprocess.run([source, "--list"], capture_output=True, text=True, check=True)
    # The real mke2fs makes ext4, busybox's only ext2; `busybox init` is named in full by sbin/init.
    for applet in set(listed.stdout.split()) - {"busybox", "init", "linuxrc", "mke2fs", "mkfs.ext2"}:
        (root / "bin" / applet).symlink_to("busybox")


def _add_modules(packages: Path, names: tuple[str, ...], root: Path) -> None:
    """Copies kernel modules with those that they need, and writes the index that modprobe reads."""
    release = debian.kernel_release(packages)
    source, target = (base / "lib" / "modules" / release for base in (packages, root))
    if not (source / "modules.dep").exists():
        _index_modules(packages, packages, release)
    needs = _dependencies(source / "modules.dep")
    waiting = [path for path in needs if Path(path).stem in names]
    if missing := set(names) - {Path(path).stem for path in waiting}:
        raise FileNotFoundError(f"the kernel has no modules {', '.join(sorted(missing))}")
    wanted: set[str] = set()
    while waiting:
        path = waiting.pop()
        wanted.add(path)
        waiting += [need for need in needs[path] if need not in wanted]
    for path in sorted(wanted):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, target / path)
    _index_modules(packages, root, release)


def _index_modules(packages: Path, base: Path, release: str) -> None:
    subprocess.run([debian.busybox(packages), "depmod", "-b", base.resolve(), release], check=True)


def _dependencies(index: Path) -> dict[str, list[str]]:
    rows = (line.split(":", 1) for line in index.read_text().splitlines())
    return {path: needs.split() for path, needs in rows}
