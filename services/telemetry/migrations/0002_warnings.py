"""warnings"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "warnings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("resource_type", sa.String(length=32), nullable=False),
        sa.Column("resource_id", sa.String(length=255), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("first_seen_at", columns.Timestamp(), nullable=False),
        sa.Column("last_seen_at", columns.Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("warnings", schema=None) as batch_op:
        batch_op.create_index("warnings_by_age", ["first_seen_at", "id"], unique=False)
        batch_op.create_index("warnings_by_source", ["source", "topic"], unique=False)
