"""A guest's console log: QEMU appends to a file, of which the last MiB stays readable.

Offsets count from the first byte ever written. What is older than the last MiB is punched out of the file, so
offsets stay true and a guest that never stops talking fills no disk.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

KEPT_BYTES = 1 << 20
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a log, where it begins, and how long the log is by now."""

    data: bytes
    offset: int
    size_bytes: int


def size(log: Path) -> int:
    """Bytes ever written; 0 before the guest's first start."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def read(log: Path, offset: int, length: int) -> Excerpt:
    """At most `length` bytes (0: all that is kept) from `offset` on, -1: the last. Blocks.

    An offset before what is kept begins there.
    """
    length = min(length or KEPT_BYTES, KEPT_BYTES)
    total = size(log)
    oldest = max(0, total - KEPT_BYTES)
    start = total - length if offset < 0 else offset
    start = min(max(start, oldest), total)
    if start == total:
        return Excerpt(b"", start, total)
    with log.open("rb") as file:
        file.seek(start)
        return Excerpt(file.read(length), start, total)


def trim(log: Path) -> None:
    """Free the disk of what is no longer kept. Blocks."""
    surplus = (size(log) - KEPT_BYTES) // _BLOCK * _BLOCK
    if surplus <= 0 or os.stat(log).st_blocks * 512 <= 2 * KEPT_BYTES:
        return
    command = ["fallocate", "--punch-hole", "--offset", "0", "--length", str(surplus), str(log)]
    subprocess.run(command, check=True, capture_output=True)
