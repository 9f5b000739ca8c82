"""Tables of the block service, and the volume type that is the default until somebody names another."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from mesh import clock, columns, ids, tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    tables.create(op)
    _types()
    _pools()
    _volumes()
    _snapshots()
    _attachments()


def _id(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=36), nullable=False)


def _text(name: str, length: int | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=length) if length else sa.Text(), nullable=False)


def _stamps() -> list[sa.Column[Any]]:
    return [
        sa.Column("created_at", columns.Timestamp(), nullable=False),
        sa.Column("updated_at", columns.Timestamp(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    ]


def _resource() -> list[sa.Column[Any]]:
    return [
        _id("id"),
        _text("name", 255),
        _id("project_id"),
        *_stamps(),
        _text("status", 32),
        _text("status_reason"),
        sa.Column("operation_id", sa.String(length=36), nullable=True),
        _text("description"),
        sa.Column("size_gib", sa.Integer(), nullable=False),
        _id("pool_id"),
        sa.Column("metadata", columns.Json(), nullable=False),
    ]


def _index(table: str, *names: str) -> None:
    for name in names:
        op.create_index(f"ix_{table}_{name}", table, [name])


def _types() -> None:
    types = op.create_table(
        "volume_types",
        _id("id"),
        _text("name", 255),
        _text("description"),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("default", sa.Boolean(), nullable=False),
        _text("backend", 16),
        sa.Column("extra_specs", columns.Json(), nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    standard = {"id": ids.new(), "name": "standard", "description": "Any pool that has room.", "backend": ""}
    standard |= {"public": True, "default": True, "extra_specs": {}, "revision": 1}
    standard |= {"created_at": clock.now(), "updated_at": clock.now()}
    op.bulk_insert(types, [standard])


def _pools() -> None:
    op.create_table(
        "pools",
        _id("id"),
        _text("name", 255),
        _text("backend", 16),
        _id("host_id"),
        _text("host_address", 255),
        sa.Column("capacity_bytes", sa.BigInteger(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        _text("availability_zone", 255),
        sa.Column("last_seen_at", columns.Timestamp(), nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("id"),
    )


def _volumes() -> None:
    op.create_table(
        "volumes",
        *_resource(),
        sa.Column("allocated_gib", sa.Integer(), nullable=False),
        _id("volume_type_id"),
        sa.Column("bootable", sa.Boolean(), nullable=False),
        _id("image_id"),
        _id("snapshot_id"),
        _id("source_volume_id"),
        _text("availability_zone", 255),
        _text("format", 16),
        _id("user_id"),
        sa.ForeignKeyConstraint(["volume_type_id"], ["volume_types.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("volumes", "pool_id", "project_id", "snapshot_id", "source_volume_id", "volume_type_id")


def _snapshots() -> None:
    op.create_table(
        "snapshots",
        *_resource(),
        _id("volume_id"),
        sa.ForeignKeyConstraint(["volume_id"], ["volumes.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("snapshots", "pool_id", "project_id", "volume_id")


def _attachments() -> None:
    op.create_table(
        "attachments",
        _id("id"),
        _id("volume_id"),
        _id("project_id"),
        _id("server_id"),
        _id("host_id"),
        _text("device", 255),
        _text("status", 16),
        *_stamps(),
        sa.ForeignKeyConstraint(["volume_id"], ["volumes.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("volume_id"),
    )
    _index("attachments", "project_id", "server_id")
