"""The host's own record of what it holds, and for which operation.

A row is written before the thing is made and removed after it is gone: what has no row is not ours. Every
row is mirrored in memory, so reading never waits; a change is durable when the call that makes it returns.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects.sqlite import insert

from mesh import clock
from mesh.database import Database
from mesh.errors import not_found
from node.ledger import tables
from weft.node.v1.resources_pb2 import GuestSpec

TABLES = tables.TABLES
MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class GuestRecord:
    """A guest; `boot_id` is the host's boot in which it was last started.

    `before` is what `spec` was before a resize, as long as that may be reverted; empty otherwise.
    """

    id: str
    operation_id: str
    spec: bytes = field(repr=False)
    wanted_running: bool = False
    boot_id: str = ""
    before: bytes = field(default=b"", repr=False)
    created_at: datetime = field(default_factory=clock.now)

    @property
    def guest(self) -> GuestSpec:
        """What it is to be, as a message of the reader's own."""
        return GuestSpec.FromString(self.spec)


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """A volume in the host's pool."""

    id: str
    operation_id: str
    size_bytes: int
    created_at: datetime = field(default_factory=clock.now)


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """A volume as it was once."""

    id: str
    volume_id: str
    size_bytes: int
    created_at: datetime = field(default_factory=clock.now)


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """A volume or, where `snapshot_id` is set, a snapshot, served by NBD at `address`.

    Where `disk` is set, it is that disk (`root` or `ephemeral`) of the guest whose id `volume_id` is.
    """

    id: str
    volume_id: str
    snapshot_id: str
    read_only: bool
    address: str
    disk: str = ""
    created_at: datetime = field(default_factory=clock.now)


Record = GuestRecord | VolumeRecord | SnapshotRecord | ExportRecord
_R = TypeVar("_R", GuestRecord, VolumeRecord, SnapshotRecord, ExportRecord)
_TABLES: dict[type[Record], Table] = {
    GuestRecord: tables.guests,
    VolumeRecord: tables.volumes,
    SnapshotRecord: tables.snapshots,
    ExportRecord: tables.exports,
}


class Ledger:
    """The ledger. `load` fills the mirrors; `keep` and `forget` change the file first, then the mirror."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.guests: dict[str, GuestRecord] = {}
        self.volumes: dict[str, VolumeRecord] = {}
        self.snapshots: dict[str, SnapshotRecord] = {}
        self.exports: dict[str, ExportRecord] = {}

    async def load(self) -> None:
        """Read everything that earlier runs of the agent wrote."""
        self.guests = await self._database.read(_rows, GuestRecord)
        self.volumes = await self._database.read(_rows, VolumeRecord)
        self.snapshots = await self._database.read(_rows, SnapshotRecord)
        self.exports = await self._database.read(_rows, ExportRecord)

    def guest(self, server_id: str) -> GuestRecord:
        """A guest. NOT_FOUND."""
        record = self.guests.get(server_id)
        if record is None:
            raise not_found("guest", server_id)
        return record

    async def keep(self, record: Record) -> None:
        """Write the record, in place of the one with its id."""
        await self._database.write(_upsert, record)
        self._mirror(record)[record.id] = record

    async def forget(self, record: Record) -> None:
        """Remove the record; it need not be there."""
        await self._database.write(_delete, record)
        self._mirror(record).pop(record.id, None)

    def _mirror(self, record: Record) -> dict[str, Record]:
        return getattr(self, _TABLES[type(record)].name)


def _rows(connection: Connection, kind: type[_R]) -> dict[str, _R]:
    found = connection.execute(select(_TABLES[kind])).mappings()
    return {row["id"]: kind(**row) for row in found}


def _upsert(connection: Connection, record: Record) -> None:
    values = asdict(record)
    statement = insert(_TABLES[type(record)]).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def _delete(connection: Connection, record: Record) -> None:
    table = _TABLES[type(record)]
    connection.execute(delete(table).where(table.c.id == record.id))
