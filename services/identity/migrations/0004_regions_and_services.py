"""regions and services"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from mesh import clock, columns, ids

revision = "0004"
down_revision = "0003"

_endpoints = sa.table(
    "endpoints", *(sa.column(name) for name in ("region", "service_type", "service_name", "service_id"))
)


def upgrade() -> None:
    regions = op.create_table("regions", *_noun(), _id("parent_id"), *_rules("regions", "name"))
    services = op.create_table(
        "services",
        *_noun(),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("type", "name"),
    )
    with op.batch_alter_table("endpoints") as batch_op:
        batch_op.add_column(_id("service_id"))
    _read_off_endpoints(regions, services)
    with op.batch_alter_table("endpoints") as batch_op:
        batch_op.create_foreign_key(
            "endpoints_service_id_fkey", "services", ["service_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.create_index("ix_endpoints_service_id", ["service_id"])
        # While both versions run, the one before reads and writes these and knows nothing of service_id. The
        # next version but one may drop them.
        for name in ("service_type", "service_name"):
            batch_op.alter_column(name, existing_type=sa.String(length=255), server_default="")


def _id(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=36), nullable=nullable)


def _noun() -> list[sa.Column[Any]]:
    return [
        _id("id", nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", columns.Timestamp(), nullable=False),
        sa.Column("updated_at", columns.Timestamp(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    ]


def _rules(table: str, *unique: str) -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(["parent_id"], [f"{table}.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(*unique),
    ]


def _read_off_endpoints(regions: sa.Table, services: sa.Table) -> None:
    """What the endpoints that are there name is made."""
    connection = op.get_bind()
    said = {"description": "", "created_at": clock.now(), "updated_at": clock.now(), "revision": 1}
    for name in connection.scalars(sa.select(_endpoints.c.region).distinct()).all():
        connection.execute(regions.insert().values(id=ids.new(), name=name, **said))
    kinds = sa.select(_endpoints.c.service_type, _endpoints.c.service_name).distinct()
    for kind, name in connection.execute(kinds).all():
        id = ids.new()
        connection.execute(services.insert().values(id=id, type=kind, name=name, enabled=True, **said))
        these = (_endpoints.c.service_type == kind, _endpoints.c.service_name == name)
        connection.execute(sa.update(_endpoints).where(*these).values(service_id=id))
