"""Console logs."""

from pathlib import Path

import pytest

from node.guest import console
from node.guest.console import KEPT_BYTES


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "console.log"


def test_a_guest_that_never_started_has_an_empty_log(log: Path) -> None:
    assert console.read(log, 0, 0) == console.Excerpt(b"", 0, 0)
    console.trim(log)


def test_the_log_is_read_by_offset_or_from_its_end(log: Path) -> None:
    log.write_bytes(b"0123456789")
    assert console.read(log, 2, 3) == console.Excerpt(b"234", 2, 10)
    assert console.read(log, -1, 4) == console.Excerpt(b"6789", 6, 10)
    assert console.read(log, -1, 0).data == b"0123456789"
    assert console.read(log, 99, 4) == console.Excerpt(b"", 10, 10)


def test_only_the_end_of_a_long_log_takes_room_and_offsets_stay_true(log: Path) -> None:
    with log.open("ab", buffering=0) as guest:
        guest.write(b"x" * (3 * KEPT_BYTES))
        console.trim(log)
        guest.write(b"last words")
    assert log.stat().st_blocks * 512 < 2 * KEPT_BYTES
    assert log.stat().st_size == 3 * KEPT_BYTES + 10
    oldest = console.read(log, 0, 4)
    assert (oldest.data, oldest.offset) == (b"xxxx", 2 * KEPT_BYTES + 10)
    assert console.read(log, 3 * KEPT_BYTES, 0).data == b"last words"
