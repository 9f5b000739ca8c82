"""places of hosts"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("confirmed_epoch", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("place", sa.String(length=64), server_default="", nullable=False))
