"""server groups"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "server_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("max_servers_per_host", sa.Integer(), nullable=False),
        sa.Column("created_at", columns.Timestamp(), nullable=False),
        sa.Column("updated_at", columns.Timestamp(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("server_groups_by_project_and_age", "server_groups", ["project_id", "created_at", "id"])
    op.create_table(
        "server_places",
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("server_group_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("server_id", "host_id"),
    )
    op.create_index(op.f("ix_server_places_server_group_id"), "server_places", ["server_group_id"])
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("server_group_id", sa.String(length=36), nullable=True))
        batch_op.create_index(batch_op.f("ix_servers_server_group_id"), ["server_group_id"], unique=False)
