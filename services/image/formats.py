"""What content is, told from the content itself: raw disks, qcow2 and ISO 9660; all else is refused.

A host hands an image to QEMU by the format that is written in its record. So content that would be another
format to QEMU's eye (it could name files of the host as its backing) must never pass as raw or ISO, and a
qcow2 must stand alone, with a header that does not lie. Offsets and limits are of QEMU's
docs/interop/qcow2.txt, ECMA-119, and of the headers of the formats that are only recognised to be refused.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from mesh.errors import CloudError

_QCOW2 = b"QFI\xfb"
# Format, offset, signature. A negative offset counts from the end.
_SIGNATURES = (
    ("qcow2", 0, _QCOW2),
    ("vmdk", 0, b"KDMV"),
    ("vmdk", 0, b"COWD"),
    ("vmdk", 0, b"# Disk DescriptorFile"),
    ("vdi", 0x40, b"\x7f\x10\xda\xbe"),
    ("vhdx", 0, b"vhdxfile"),
    ("vhd", 0, b"conectix"),
    ("vhd", -512, b"conectix"),
    ("vhd", -511, b"conectix"),
    ("luks", 0, b"LUKS\xba\xbe"),
    ("qed", 0, b"QED\0"),
    ("parallels", 0, b"WithoutFreeSpace"),
    ("parallels", 0, b"WithouFreSpacExt"),
    ("bochs", 0, b"Bochs Virtual HD Image"),
    ("cloop", 0, b"#!/bin/sh\n#V2.0 Format\n"),
    ("dmg", -512, b"koly"),
)
_ISO_OFFSET, _ISO_SIGNATURE = 16 * 2048, b"\x01CD001"

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_HEADER_V3 = struct.Struct(">QQQII")
_CLUSTER_BITS = range(9, 22)
_LARGEST_L1_BYTES = 32 * 1024**2
_LARGEST_REFCOUNT_TABLE_BYTES = 8 * 1024**2
_LARGEST_DISK_BYTES = 1048576 * 1024**3  # the largest volume there is
_L1_OFFSET_MASK = 0x00FFFFFFFFFFFE00
_DIRTY, _CORRUPT, _EXTERNAL_DATA, _COMPRESSION, _EXTENDED_L2 = (1 << bit for bit in range(5))
_KNOWN = _DIRTY | _CORRUPT | _EXTERNAL_DATA | _COMPRESSION | _EXTENDED_L2
_EXTENSION_END, _EXTENSION_DATA_FILE = 0, 0x44415441


def inspect(file: BinaryIO, size: int, declared: str) -> int:
    """The bytes of the disk that a guest sees of a file of `size` bytes, declared RAW, QCOW2 or ISO.

    Raises IMAGE_REFUSED when the content is not what was declared, or cannot be trusted.
    """
    return _INSPECTORS[declared](_Content(file, size))


@dataclass(frozen=True, slots=True)
class _Content:
    file: BinaryIO
    size: int

    def at(self, offset: int, length: int) -> bytes:
        if offset < 0:
            offset += self.size
        if offset < 0 or offset >= self.size:
            return b""
        self.file.seek(offset)
        return self.file.read(length)

    def holds(self, offset: int, length: int, cluster: int) -> bool:
        """Whether a table of that length lies in the file, aligned and not over the header."""
        return offset % cluster == 0 and offset >= cluster and offset + length <= self.size

    def signature(self) -> str:
        """The first format whose signature is there; "" for none."""
        return next((name for name, at, sign in _SIGNATURES if self.at(at, len(sign)) == sign), "")


def _refused(format: str, detail: str) -> CloudError:
    return CloudError("IMAGE_REFUSED", f"The content is refused: {detail}.", format=format, detail=detail)


def _require(holds: bool, detail: str) -> None:
    if not holds:
        raise _refused("qcow2", detail)


def _raw(content: _Content) -> int:
    found = content.signature()
    if found:
        raise _refused(found, f"it is declared raw and begins or ends like {found}")
    return content.size


def _iso(content: _Content) -> int:
    found = content.signature()
    if found:
        raise _refused(found, f"it is declared iso and begins or ends like {found}")
    if content.at(_ISO_OFFSET, len(_ISO_SIGNATURE)) != _ISO_SIGNATURE:
        raise _refused("unknown", "it is declared iso and has no ISO 9660 volume descriptor at byte 32768")
    return content.size


@dataclass(frozen=True, slots=True)
class _Header:
    magic: bytes
    version: int
    backing_offset: int
    backing_size: int
    cluster_bits: int
    size: int
    crypt_method: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshots: int
    snapshots_offset: int
    incompatible: int = 0
    compatible: int = 0
    autoclear: int = 0
    refcount_order: int = 4
    length: int = _HEADER.size

    @property
    def bytes_per_l1_entry(self) -> int:
        """How much of the disk one L1 entry covers: one L2 table, which fills a cluster."""
        entry = 16 if self.incompatible & _EXTENDED_L2 else 8
        return (1 << self.cluster_bits) // entry << self.cluster_bits


def _qcow2(content: _Content) -> int:
    header = _header(content)
    _is_sane(header)
    _stands_alone(header, content)
    _is_whole(header, content)
    return header.size


def _header(content: _Content) -> _Header:
    raw = content.at(0, _HEADER.size + _HEADER_V3.size)
    _require(raw[:4] == _QCOW2, "it is declared qcow2 and does not begin like one")
    _require(len(raw) >= _HEADER.size, "it ends within its header")
    fields = _HEADER.unpack_from(raw)
    if fields[1] == 2:
        return _Header(*fields)
    _require(fields[1] == 3, f"its version is {fields[1]}, not 2 or 3")
    _require(len(raw) == _HEADER.size + _HEADER_V3.size, "it ends within its header")
    return _Header(*fields, *_HEADER_V3.unpack_from(raw, _HEADER.size))


def _stands_alone(header: _Header, content: _Content) -> None:
    _require(header.backing_offset == 0 and header.backing_size == 0, "it has a backing file")
    _require(not header.incompatible & _EXTERNAL_DATA, "it keeps its data in another file")
    _require(header.crypt_method == 0, "it is encrypted")
    _require(not header.incompatible & ~_KNOWN, "it needs features that are not known")
    _require(not header.incompatible & _CORRUPT, "it is marked as corrupt")
    if header.version == 3:
        _names_no_data_file(header, content)


def _names_no_data_file(header: _Header, content: _Content) -> None:
    position, end = header.length, 1 << header.cluster_bits
    while position + 8 <= end:
        extension = content.at(position, 8)
        if len(extension) < 8:
            return
        kind, length = struct.unpack(">II", extension)
        if kind == _EXTENSION_END:
            return
        _require(kind != _EXTENSION_DATA_FILE, "it keeps its data in another file")
        position += 8 + (length + 7) // 8 * 8
    _require(position <= end, "a header extension reaches beyond the first cluster")


def _is_sane(header: _Header) -> None:
    _require(header.cluster_bits in _CLUSTER_BITS, f"its clusters have 2^{header.cluster_bits} bytes")
    cluster = 1 << header.cluster_bits
    _require(_HEADER.size <= header.length <= cluster, f"its header says that it has {header.length} bytes")
    _require(header.version == 2 or header.length >= 104, "its header is too short for its version")
    _require(header.refcount_order <= 6, "its reference counts have more than 64 bits")
    _require(header.size <= _LARGEST_DISK_BYTES, f"its disk would have {header.size} bytes")
    needed = -(-header.size // header.bytes_per_l1_entry)
    _require(header.l1_entries >= needed, "its L1 table is too small for the disk that it claims")
    _require(header.l1_entries * 8 <= _LARGEST_L1_BYTES, "its L1 table is too large")
    refcount_bytes = header.refcount_clusters << header.cluster_bits
    _require(0 < refcount_bytes <= _LARGEST_REFCOUNT_TABLE_BYTES, "its refcount table has no sane size")
    _require(header.snapshots <= 65536, "it claims too many snapshots")


def _is_whole(header: _Header, content: _Content) -> None:
    """Every table that the header and the L1 table name lies inside the file."""
    cluster, l1_bytes = 1 << header.cluster_bits, header.l1_entries * 8
    refcount_bytes = header.refcount_clusters * cluster
    inside = content.holds
    _require(l1_bytes == 0 or inside(header.l1_offset, l1_bytes, cluster), "its L1 table lies outside of it")
    _require(inside(header.refcount_offset, refcount_bytes, cluster), "its refcount table lies outside of it")
    entries = struct.unpack(f">{header.l1_entries}Q", content.at(header.l1_offset, l1_bytes))
    for table in (entry & _L1_OFFSET_MASK for entry in entries):
        _require(table == 0 or inside(table, cluster, cluster), "it is cut: an L2 table lies outside of it")


_INSPECTORS: dict[str, Callable[[_Content], int]] = {"RAW": _raw, "QCOW2": _qcow2, "ISO": _iso}
