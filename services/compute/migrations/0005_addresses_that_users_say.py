"""addresses that users say servers are reached at"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("access_ipv4", sa.String(length=15), server_default="", nullable=False))
        batch_op.add_column(sa.Column("access_ipv6", sa.String(length=45), server_default="", nullable=False))
