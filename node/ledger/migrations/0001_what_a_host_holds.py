"""What a host holds."""

import sqlalchemy as sa
from alembic import op

from mesh import columns, tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    tables.create(op)
    op.create_table(
        "guests",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("operation_id", sa.String(36), nullable=False),
        sa.Column("spec", sa.LargeBinary, nullable=False),
        sa.Column("wanted_running", sa.Boolean, nullable=False),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("created_at", columns.Timestamp, nullable=False),
    )
    op.create_table(
        "volumes",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("operation_id", sa.String(36), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", columns.Timestamp, nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("volume_id", sa.String(36), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", columns.Timestamp, nullable=False),
    )
    op.create_table(
        "exports",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("volume_id", sa.String(36), nullable=False),
        sa.Column("snapshot_id", sa.String(36), nullable=False),
        sa.Column("read_only", sa.Boolean, nullable=False),
        sa.Column("address", sa.String(255), nullable=False),
        sa.Column("created_at", columns.Timestamp, nullable=False),
    )
