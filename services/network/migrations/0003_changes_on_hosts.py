"""Changes of routers and floating IPs are followed to hosts, which say what they have."""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for table in ("routers", "floating_ips"):
        op.add_column(table, sa.Column("operation_id", sa.String(36), nullable=True))
    op.add_column("hosts", sa.Column("confirming", sa.String(36), nullable=True))
    op.add_column("hosts", sa.Column("confirmed", sa.BigInteger(), nullable=True))
    op.add_column("hosts", sa.Column("trouble", columns.Json(), nullable=True))
