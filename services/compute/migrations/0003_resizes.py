"""resizes"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("resize", columns.Json(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("spare_claim_id", sa.String(length=36), nullable=True))
        batch_op.create_index(batch_op.f("ix_servers_spare_claim_id"), ["spare_claim_id"], unique=False)
