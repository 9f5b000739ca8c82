"""groups and what roles imply"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _groups()
    _memberships()
    _implications()
    _assignments()
    for table in ("projects", "users"):
        op.create_index(f"{table}_by_name", table, ["name"])
        op.create_index(f"{table}_of_domain_by_age", table, ["domain_id", "created_at", "id"])


def _groups() -> None:
    op.create_table(
        "groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", columns.Timestamp(), nullable=False),
        sa.Column("updated_at", columns.Timestamp(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("domain_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domains.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("domain_id", "name"),
    )
    op.create_index("groups_by_age", "groups", ["created_at", "id"])
    op.create_index("groups_of_domain_by_age", "groups", ["domain_id", "created_at", "id"])


def _memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "user_id"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])


def _implications() -> None:
    op.create_table(
        "implications",
        sa.Column("role_id", sa.String(length=36), nullable=False),
        sa.Column("implied_role_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["roles.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["implied_role_id"], ["roles.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("role_id", "implied_role_id"),
    )
    op.create_index("ix_implications_implied_role_id", "implications", ["implied_role_id"])


def _assignments() -> None:
    with op.batch_alter_table("assignments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("group_id", sa.String(length=36), nullable=True))
        batch_op.alter_column("user_id", existing_type=sa.String(length=36), nullable=True)
        batch_op.create_foreign_key(
            "assignments_group_id_fkey", "groups", ["group_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.drop_index("ix_assignments_user_id")
        batch_op.create_index("assignments_of_user", ["user_id", "project_id", "domain_id"])
        batch_op.create_index("assignments_of_group", ["group_id", "project_id", "domain_id"])
