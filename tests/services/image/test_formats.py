"""Content is told by what it is, and what cannot be trusted is refused."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from mesh.errors import CloudError
from services.image import formats

MIB = 1 << 20
needs_qemu_img = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")


def qcow2(version: int = 3, length: int = 4 * 65536, **changes: int) -> bytes:
    """A qcow2 of 1 GiB without data: header, L1 table at cluster 1, refcount table at cluster 2."""
    fields = {
        "backing_offset": 0, "backing_size": 0, "cluster_bits": 16, "size": 1 << 30, "crypt_method": 0,
        "l1_entries": 2, "l1_offset": 65536, "refcount_offset": 131072, "refcount_clusters": 1,
        "snapshots": 0, "snapshots_offset": 0,
        "incompatible": 0, "compatible": 0, "autoclear": 0, "refcount_order": 4, "header_length": 104,
    }  # fmt: skip
    l1_entry = changes.pop("l1_entry", 0)
    extension = changes.pop("extension", 0)
    fields.update(changes)
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, *list(fields.values())[:11])
    if version != 2:
        head += struct.pack(">QQQII", *list(fields.values())[11:]) + struct.pack(">II", extension, 8)
    content = bytearray(max(length, len(head)))
    content[: len(head)] = head
    if length >= 65536 + 8:
        content[65536 : 65536 + 8] = struct.pack(">Q", l1_entry)
    return bytes(content[:length])


def inspect(tmp_path: Path, content: bytes, declared: str) -> int:
    """What the inspection of the content says."""
    path = tmp_path / "content"
    path.write_bytes(content)
    with path.open("rb") as file:
        return formats.inspect(file, len(content), declared)


def iso(prefix: bytes = b"") -> bytes:
    """The least that is an ISO 9660 image."""
    return prefix.ljust(16 * 2048, b"\0") + b"\x01CD001\x01".ljust(2048, b"\0")


def test_a_plain_disk_is_as_large_as_its_content(tmp_path: Path) -> None:
    assert inspect(tmp_path, b"\0" * MIB, "RAW") == MIB


@pytest.mark.parametrize("version", [2, 3])
def test_a_qcow2_is_as_large_as_its_header_says(tmp_path: Path, version: int) -> None:
    assert inspect(tmp_path, qcow2(version), "QCOW2") == 1 << 30


def test_an_iso_is_known_by_its_volume_descriptor(tmp_path: Path) -> None:
    assert inspect(tmp_path, iso(), "ISO") == len(iso())


def test_a_hybrid_iso_passes_as_iso_and_as_raw(tmp_path: Path) -> None:
    hybrid = iso(b"\x33\xed".ljust(510, b"\x90") + b"\x55\xaa")
    assert inspect(tmp_path, hybrid, "ISO") == len(hybrid)
    assert inspect(tmp_path, hybrid, "RAW") == len(hybrid)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"backing_offset": 512, "backing_size": 11}, "backing file"),
        ({"incompatible": 1 << 2}, "another file"),
        ({"extension": 0x44415441}, "another file"),
        ({"incompatible": 1 << 1}, "corrupt"),
        ({"incompatible": 1 << 63}, "not known"),
        ({"crypt_method": 2}, "encrypted"),
        ({"version": 4}, "version"),
        ({"cluster_bits": 8}, "clusters"),
        ({"cluster_bits": 63}, "clusters"),
        ({"size": 1 << 62}, "disk would have"),
        ({"size": 1 << 40}, "too small for the disk"),
        ({"l1_entries": 1 << 30}, "too large"),
        ({"l1_offset": 1 << 40}, "L1 table lies outside"),
        ({"l1_offset": 65537}, "L1 table lies outside"),
        ({"l1_offset": 0}, "L1 table lies outside"),
        ({"refcount_offset": 1 << 40}, "refcount table lies outside"),
        ({"refcount_clusters": 0}, "refcount table has no sane size"),
        ({"refcount_order": 9}, "reference counts"),
        ({"header_length": 1 << 20}, "header says"),
        ({"header_length": 72}, "too short"),
        ({"l1_entry": 1 << 40}, "cut"),
        ({"length": 100}, "ends within its header"),
        ({"length": 20}, "ends within its header"),
    ],
)
def test_a_qcow2_that_leans_on_others_or_lies_is_refused(
    tmp_path: Path, changes: dict[str, int], detail: str
) -> None:
    with pytest.raises(CloudError, match=detail) as refusal:
        inspect(tmp_path, qcow2(**changes), "QCOW2")
    assert refusal.value.reason == "IMAGE_REFUSED"
    assert refusal.value.metadata["format"] == "qcow2"


@pytest.mark.parametrize("declared", ["RAW", "ISO"])
@pytest.mark.parametrize(
    ("disguise", "found"),
    [
        (qcow2()[:512], "qcow2"),
        (b"KDMV", "vmdk"),
        (b"# Disk DescriptorFile\nversion=1", "vmdk"),
        (b"\0" * 64 + b"\x7f\x10\xda\xbe", "vdi"),
        (b"vhdxfile", "vhdx"),
        (b"conectix", "vhd"),
        (b"LUKS\xba\xbe\0\x01", "luks"),
        (b"QED\0", "qed"),
    ],
)
def test_another_format_in_disguise_is_refused(
    tmp_path: Path, declared: str, disguise: bytes, found: str
) -> None:
    with pytest.raises(CloudError) as refusal:
        inspect(tmp_path, iso(disguise), declared)
    assert refusal.value.metadata["format"] == found


def test_a_disk_that_only_ends_like_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CloudError, match="vhd"):
        inspect(tmp_path, b"\0" * MIB + b"conectix".ljust(512, b"\0"), "RAW")


@pytest.mark.parametrize("declared", ["QCOW2", "ISO"])
def test_a_plain_disk_passes_as_nothing_else(tmp_path: Path, declared: str) -> None:
    with pytest.raises(CloudError, match="declared"):
        inspect(tmp_path, b"\0" * MIB, declared)


@needs_qemu_img
@pytest.mark.parametrize("options", ["compat=0.10", "compat=1.1", "extended_l2=on", "cluster_size=2M"])
def test_what_qemu_makes_passes_and_with_a_backing_file_does_not(tmp_path: Path, options: str) -> None:
    (tmp_path / "raw").write_bytes(b"weft" * MIB)
    path, overlay = tmp_path / "made", tmp_path / "overlay"
    qemu = ["qemu-img", "convert", "-O", "qcow2", "-o", options, tmp_path / "raw", path]
    subprocess.run(qemu, check=True, capture_output=True)
    assert inspect(tmp_path, path.read_bytes(), "QCOW2") == 4 * MIB
    on_top = ["qemu-img", "create", "-f", "qcow2", "-b", path, "-F", "qcow2", overlay]
    subprocess.run(on_top, check=True, capture_output=True)
    with pytest.raises(CloudError, match="backing file"):
        inspect(tmp_path, overlay.read_bytes(), "QCOW2")


@needs_qemu_img
def test_a_qcow2_that_was_cut_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"weft" * MIB)
    path = tmp_path / "made"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", tmp_path / "raw", path], check=True)
    whole = path.read_bytes()
    assert inspect(tmp_path, whole, "QCOW2") == 4 * MIB
    with pytest.raises(CloudError, match="outside"):
        inspect(tmp_path, whole[: 3 * 65536], "QCOW2")
