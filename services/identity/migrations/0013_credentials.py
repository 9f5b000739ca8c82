"""credentials of any type"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("delegations", sa.Column("access_key", sa.String(length=255), nullable=True))
    op.create_index("delegations_by_access_key", "delegations", ["access_key"], unique=True)
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", columns.Timestamp(), nullable=False),
        sa.Column("updated_at", columns.Timestamp(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("credentials_by_age", "credentials", ["created_at", "id"])
    op.create_index("credentials_of_user_by_age", "credentials", ["user_id", "created_at", "id"])
    op.create_index("ix_credentials_project_id", "credentials", ["project_id"])
