"""tags of subnets, routers, floating IPs and security groups"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("subnets", "routers", "floating_ips", "security_groups"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("tags", columns.Json(), nullable=False, server_default="[]"))
