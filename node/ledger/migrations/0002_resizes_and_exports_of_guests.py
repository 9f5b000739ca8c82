"""What a guest was before a resize, and exports of guests' disks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("guests", schema=None) as batch_op:
        batch_op.add_column(sa.Column("before", sa.LargeBinary(), nullable=False, server_default=""))
    with op.batch_alter_table("exports", schema=None) as batch_op:
        batch_op.add_column(sa.Column("disk", sa.String(length=16), nullable=False, server_default=""))
