"""The guest's disk, written without mounting anything: mtools, syslinux and mke2fs work inside the file."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
BOOT_START = 1 * MIB
SECTOR = 512
MASTER_BOOT_RECORD = Path("/usr/lib/syslinux/mbr/mbr.bin")
CODE_BYTES = 440  # of a master boot record, before the partition table


@dataclass(frozen=True)
class Sizes:
    """How large the boot partition, the root partition and its journal are, in MiB."""

    boot: int = 24
    root: int = 38
    journal: int = 2

    @property
    def root_start(self) -> int:
        """Where the root partition begins, in octets."""
        return BOOT_START + self.boot * MIB

    @property
    def disk(self) -> int:
        """The whole disk, in octets; its last MiB is free for a copy of a partition table."""
        return self.root_start + (self.root + 1) * MIB


def make(disk: Path, kernel: Path, initramfs: Path, config: Path, root: Path, sizes: Sizes = Sizes()) -> Path:
    """A raw disk that boots by BIOS: syslinux on FAT, then the root tree on ext4 labelled weft-root."""
    with disk.open("wb") as file:
        file.truncate(sizes.disk)
    _partition(disk, sizes)
    _boot_partition(disk, {"vmlinuz": kernel, "initrd.gz": initramfs, "syslinux.cfg": config}, sizes)
    _root_partition(disk, root, sizes)
    return disk


def compress(raw: Path, image: Path) -> None:
    """Writes a compressed qcow2; an interrupted run leaves none under that name."""
    partial = image.with_suffix(".partial")
    _run("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-c", raw, partial)
    partial.rename(image)


def _partition(disk: Path, sizes: Sizes) -> None:
    rows = (
        f"start={BOOT_START // SECTOR},size={sizes.boot * MIB // SECTOR},type=e,bootable",
        f"start={sizes.root_start // SECTOR},size={sizes.root * MIB // SECTOR},type=83",
    )
    _run("sfdisk", "--quiet", disk, text="label: dos\n" + "\n".join(rows) + "\n")
    with disk.open("r+b") as file:
        file.write(MASTER_BOOT_RECORD.read_bytes()[:CODE_BYTES])


def _boot_partition(disk: Path, files: dict[str, Path], sizes: Sizes) -> None:
    place = f"{disk}@@{BOOT_START}"
    sectors, hidden = sizes.boot * MIB // SECTOR, BOOT_START // SECTOR
    shape = ("-T", sectors, "-h", 64, "-s", 32, "-H", hidden)
    _run("mformat", "-i", place, *shape, "-v", "WEFTBOOT", "::")
    for name, source in files.items():
        _run("mcopy", "-i", place, source, f"::/{name}")
    _run("syslinux", "--install", "--offset", BOOT_START, disk)


def _root_partition(disk: Path, root: Path, sizes: Sizes) -> None:
    place = f"offset={sizes.root_start},root_owner=0:0"
    features = ("-O", "^metadata_csum", "-J", f"size={sizes.journal}", "-L", "weft-root", "-m", 0)
    _run("mke2fs", "-q", "-F", "-t", "ext4", *features, "-E", place, "-d", root, disk, f"{sizes.root}m")


def _run(*command: str | int | Path, text: str | None = None) -> None:
    subprocess.run([str(word) for word in command], input=text, text=True, check=True)
