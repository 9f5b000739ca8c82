"""rights that are handed on"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "delegations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.String(length=36), nullable=False),
        sa.Column("trustee_id", sa.String(length=36), nullable=True),
        sa.Column("impersonate", sa.Boolean(), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("role_ids", columns.Json(), nullable=False),
        sa.Column("access_rules", columns.Json(), nullable=False),
        sa.Column("unrestricted", sa.Boolean(), nullable=False),
        sa.Column("expires_at", columns.Timestamp(), nullable=True),
        sa.Column("parent_id", sa.String(length=36), nullable=True),
        sa.Column("uses_left", sa.Integer(), nullable=True),
        sa.Column("redelegation_left", sa.Integer(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", columns.Timestamp(), nullable=False),
        sa.Column("updated_at", columns.Timestamp(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trustee_id"], ["users.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["parent_id"], ["delegations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("owner_id", "kind", "name"),
    )
    op.create_index("delegations_by_age", "delegations", ["created_at", "id"])
    for column in ("trustee_id", "project_id", "parent_id"):
        op.create_index(f"ix_delegations_{column}", "delegations", [column])
