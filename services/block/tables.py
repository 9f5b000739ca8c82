"""Tables of the block service."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, MetaData, String, Table, Text

from mesh import clock, ids, tables
from mesh.columns import Id, Json, Timestamp, resource_columns

TABLES = MetaData()
tables.add_to(TABLES)


def _stamps() -> list[Column[Any]]:
    return [
        Column("created_at", Timestamp, nullable=False, default=clock.now),
        Column("updated_at", Timestamp, nullable=False, default=clock.now),
        Column("revision", BigInteger, nullable=False, default=1),
    ]


volume_types = Table(
    "volume_types",
    TABLES,
    Id("id", primary_key=True, default=ids.new),
    Column("name", String(255), nullable=False, unique=True),
    Column("description", Text, nullable=False, default=""),
    Column("public", Boolean, nullable=False),
    Column("default", Boolean, nullable=False),
    Column("backend", String(16), nullable=False, default=""),
    Column("extra_specs", Json, nullable=False),
    *_stamps(),
    info={"resource_type": "volume_type"},
)

pools = Table(
    "pools",
    TABLES,
    Id("id", primary_key=True),
    Column("name", String(255), nullable=False),
    Column("backend", String(16), nullable=False),
    Id("host_id", nullable=False),
    Column("host_address", String(255), nullable=False),
    Column("capacity_bytes", BigInteger, nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("availability_zone", String(255), nullable=False, default=""),
    Column("last_seen_at", Timestamp, nullable=False),
    *_stamps(),
)

volumes = Table(
    "volumes",
    TABLES,
    *resource_columns(),
    Column("description", Text, nullable=False, default=""),
    Column("size_gib", Integer, nullable=False),
    Column("allocated_gib", Integer, nullable=False),
    Id("volume_type_id", ForeignKey("volume_types.id"), nullable=False, index=True),
    Column("bootable", Boolean, nullable=False, default=False),
    Id("image_id", nullable=False, default=""),
    Id("snapshot_id", nullable=False, default="", index=True),
    Id("source_volume_id", nullable=False, default="", index=True),
    Column("metadata", Json, nullable=False),
    Column("availability_zone", String(255), nullable=False, default=""),
    Id("pool_id", nullable=False, index=True),
    Column("format", String(16), nullable=False, default="raw"),
    Id("user_id", nullable=False, default=""),
)

snapshots = Table(
    "snapshots",
    TABLES,
    *resource_columns(),
    Column("description", Text, nullable=False, default=""),
    Id("volume_id", ForeignKey("volumes.id"), nullable=False, index=True),
    Column("size_gib", Integer, nullable=False),
    Id("pool_id", nullable=False, index=True),
    Column("metadata", Json, nullable=False),
)

# `key_digest` is the SHA-256 of the key that accepts it.
transfers = Table(
    "transfers",
    TABLES,
    Id("id", primary_key=True, default=ids.new),
    Column("name", String(255), nullable=False),
    Id("project_id", nullable=False, index=True),
    Id("volume_id", ForeignKey("volumes.id"), nullable=False, unique=True),
    Column("key_digest", String(64), nullable=False),
    *_stamps(),
    info={"resource_type": "volume_transfer"},
)

# A volume has one attachment at most.
attachments = Table(
    "attachments",
    TABLES,
    Id("id", primary_key=True),
    Id("volume_id", ForeignKey("volumes.id"), nullable=False, unique=True),
    Id("project_id", nullable=False, index=True),
    Id("server_id", nullable=False, index=True),
    Id("host_id", nullable=False),
    Column("device", String(255), nullable=False, default=""),
    Column("status", String(16), nullable=False),
    *_stamps(),
)
