"""The guest's disk, written without mounting anything: mtools, syslinux and mke2fs work inside the file."""

import subprocess
from pathlib import Path

MIB = 2**20
BOOT_START, BOOT_SIZE = 1 * MIB, 24 * MIB
ROOT_START, ROOT_SIZE = 25 * MIB, 38 * MIB
DISK_SIZE = 64 * MIB
SECTOR = 512
MASTER_BOOT_RECORD = Path("/usr/lib/syslinux/mbr/mbr.bin")
CODE_BYTES = 440  # of a master boot record, before the partition table


def make(disk: Path, kernel: Path, initramfs: Path, config: Path, root: Path) -> Path:
    """A raw disk that boots by BIOS: syslinux on FAT, then the root tree on ext4 labelled weft-root."""
    with disk.open("wb") as file:
        file.truncate(DISK_SIZE)
    _partition(disk)
    _boot_partition(disk, {"vmlinuz": kernel, "initrd.gz": initramfs, "syslinux.cfg": config})
    _root_partition(disk, root)
    return disk


def compress(raw: Path, image: Path) -> None:
    """Writes a compressed qcow2; an interrupted run leaves none under that name."""
    partial = image.with_suffix(".partial")
    _run("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-c", raw, partial)
    partial.rename(image)


def _partition(disk: Path) -> None:
    rows = (
        f"start={BOOT_START // SECTOR},size={BOOT_SIZE // SECTOR},type=e,bootable",
        f"start={ROOT_START // SECTOR},size={ROOT_SIZE // SECTOR},type=83",
    )
    _run("sfdisk", "--quiet", disk, text="label: dos\n" + "\n".join(rows) + "\n")
    with disk.open("r+b") as file:
        file.write(MASTER_BOOT_RECORD.read_bytes()[:CODE_BYTES])


def _boot_partition(disk: Path, files: dict[str, Path]) -> None:
    place = f"{disk}@@{BOOT_START}"
    hidden = BOOT_START // SECTOR
    _run(
        "mformat",
        "-i",
        place,
        "-T",
        BOOT_SIZE // SECTOR,
        "-h",
        64,
        "-s",
        32,
        "-H",
        hidden,
        "-v",
        "WEFTBOOT",
        "::",
    )
    for name, source in files.items():
        _run("mcopy", "-i", place, source, f"::/{name}")
    _run("syslinux", "--install", "--offset", BOOT_START, disk)


def _root_partition(disk: Path, root: Path) -> None:
    place = f"offset={ROOT_START},root_owner=0:0"
    features = ("-O", "^metadata_csum", "-J", "size=2", "-L", "weft-root", "-m", 0)
    _run(
        "mke2fs", "-q", "-F", "-t", "ext4", *features, "-E", place, "-d", root, disk, f"{ROOT_SIZE // 1024}k"
    )


def _run(*command: str | int | Path, text: str | None = None) -> None:
    subprocess.run([str(word) for word in command], input=text, text=True, check=True)
