"""Tables of the ledger: one row for each thing that the host holds."""

from sqlalchemy import BigInteger, Boolean, Column, MetaData, String, Table

from mesh.columns import Bytes, Id, Timestamp

TABLES = MetaData()

guests = Table(
    "guests",
    TABLES,
    Id("id", primary_key=True),
    Id("operation_id", nullable=False),
    Bytes("spec", nullable=False),  # weft.node.v1.GuestSpec, with the volumes that it has now
    Column("wanted_running", Boolean, nullable=False),
    Bytes("before", nullable=False),  # the same as it was before a resize that may be reverted, or nothing
    Column("boot_id", String(64), nullable=False),  # of the host, when the guest was last started
    Column("created_at", Timestamp, nullable=False),
)

volumes = Table(
    "volumes",
    TABLES,
    Id("id", primary_key=True),
    Id("operation_id", nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)

snapshots = Table(
    "snapshots",
    TABLES,
    Id("id", primary_key=True),
    Id("volume_id", nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)

exports = Table(
    "exports",
    TABLES,
    Id("id", primary_key=True),
    Id("volume_id", nullable=False),
    Column("snapshot_id", String(36), nullable=False),
    Column("disk", String(16), nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("address", String(255), nullable=False),
    Column("created_at", Timestamp, nullable=False),
)
