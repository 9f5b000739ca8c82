"""The host's own record."""

from dataclasses import replace
from pathlib import Path

import pytest

from mesh.database import Database
from mesh.errors import CloudError
from node.ledger import MIGRATIONS, TABLES, ExportRecord, GuestRecord, Ledger, SnapshotRecord, VolumeRecord
from tests.node.conftest import spec

GUEST = spec()
RECORDS = [
    GuestRecord(GUEST.server_id, GUEST.operation_id, GUEST.SerializeToString(), True, "boot"),
    VolumeRecord("volume", GUEST.operation_id, 1 << 40),
    SnapshotRecord("snapshot", "volume", 1 << 40),
    ExportRecord("export", "volume", "", False, "127.0.0.1:10809"),
]


def mirrors(ledger: Ledger) -> list[object]:
    kept = (ledger.guests, ledger.volumes, ledger.snapshots, ledger.exports)
    return [record for mirror in kept for record in mirror.values()]


async def test_what_was_kept_is_there_for_the_next_agent(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    for written in (RECORDS, [replace(RECORDS[1], size_bytes=7)]):
        database = Database.open(url, TABLES, MIGRATIONS)
        ledger = Ledger(database)
        await ledger.load()
        for record in written:
            await ledger.keep(record)
        await database.close()
    database = Database.open(url, TABLES, MIGRATIONS)
    later = Ledger(database)
    await later.load()
    assert mirrors(later) == [RECORDS[0], replace(RECORDS[1], size_bytes=7), *RECORDS[2:]]
    assert later.guest(GUEST.server_id).guest == GUEST
    await database.close()


async def test_what_was_forgotten_is_gone(ledger: Ledger) -> None:
    for record in RECORDS:
        await ledger.keep(record)
    for record in RECORDS:
        await ledger.forget(record)
        await ledger.forget(record)
    assert mirrors(ledger) == []
    await ledger.load()
    assert mirrors(ledger) == []
    with pytest.raises(CloudError) as missing:
        ledger.guest(GUEST.server_id)
    assert missing.value.reason == "NOT_FOUND"


async def test_user_data_stays_out_of_logs() -> None:
    secret = GuestRecord("id", "operation", b"password")
    assert "password" not in repr(secret)
