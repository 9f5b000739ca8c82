"""locks, addresses to look for, and ids of flavors that an operator chose"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _add_to_servers()
    _fill_addresses()
    for table, column in (("flavors", "id"), ("flavor_access", "flavor_id"), ("servers", "flavor_id")):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column(
                column,
                existing_type=sa.String(length=36),
                type_=sa.String(length=255),
                existing_nullable=False,
            )


def _add_to_servers() -> None:
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lock", columns.Json(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("addresses", sa.Text(), nullable=False, server_default=""))


def _fill_addresses() -> None:
    """What the store writes with each change of the ports, for the servers that are there."""
    servers = sa.table("servers", sa.column("id"), sa.column("ports", columns.Json), sa.column("addresses"))
    connection = op.get_bind()
    for id, ports in connection.execute(sa.select(servers.c.id, servers.c.ports)).all():
        found = " ".join(ip for port in ports for ip in port["fixed_ips"])
        if found:
            connection.execute(sa.update(servers).where(servers.c.id == id).values(addresses=f" {found} "))
