"""rules for passwords"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "login_sources",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("last_at", columns.Timestamp(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "source"),
    )
    with op.batch_alter_table("login_sources", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_sources_last_at"), ["last_at"], unique=False)

    op.create_table(
        "old_passwords",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("set_at", columns.Timestamp(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "set_at"),
    )
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("password_change_due", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("password_rules_exempt", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
