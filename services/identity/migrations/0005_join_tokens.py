"""join tokens"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "join_tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("secret_digest", sa.String(length=64), nullable=False),
        sa.Column("key_digest", sa.String(length=64), nullable=True),
        sa.Column("created_at", columns.Timestamp(), nullable=False),
        sa.Column("expires_at", columns.Timestamp(), nullable=False),
        sa.Column("used_at", columns.Timestamp(), nullable=True),
        sa.Column("revoked_at", columns.Timestamp(), nullable=True),
        sa.Column("created_by", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_join_tokens_host_id", "join_tokens", ["host_id"])
    op.create_index("join_tokens_by_age", "join_tokens", ["created_at", "id"])
