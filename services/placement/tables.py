"""The tables of placement."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    MetaData,
    String,
    Table,
)

from mesh import clock, tables
from mesh.columns import Id, Timestamp

TABLES = MetaData()
tables.add_to(TABLES)

resource_classes = Table(
    "resource_classes",
    TABLES,
    Column("name", String(255), primary_key=True),
    Column("standard", Boolean, nullable=False),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
)

traits = Table(
    "traits",
    TABLES,
    Column("name", String(255), primary_key=True),
    Column("standard", Boolean, nullable=False),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
)

# The generation grows with whatever belongs to the provider; a root is its own root.
providers = Table(
    "providers",
    TABLES,
    Id("id", primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Id("parent_id", ForeignKey("providers.id"), nullable=True, index=True),
    Id("root_id", nullable=False, index=True),
    Column("generation", BigInteger, nullable=False, default=1),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
    Column("updated_at", Timestamp, nullable=False, default=clock.now),
    Index("providers_by_age", "created_at", "id"),
)

# The capacity is written with what it comes from, so that SQL and memory round it alike.
inventories = Table(
    "inventories",
    TABLES,
    Id("provider_id", ForeignKey("providers.id", ondelete="CASCADE"), primary_key=True),
    Column("resource_class", String(255), ForeignKey("resource_classes.name"), primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("min_unit", BigInteger, nullable=False),
    Column("max_unit", BigInteger, nullable=False),
    Column("step_size", BigInteger, nullable=False),
    Column("allocation_ratio", Float(53), nullable=False),
    Column("capacity", BigInteger, nullable=False),
    Index("inventories_by_class", "resource_class"),
)

provider_traits = Table(
    "provider_traits",
    TABLES,
    Id("provider_id", ForeignKey("providers.id", ondelete="CASCADE"), primary_key=True),
    Column("trait", String(255), ForeignKey("traits.name"), primary_key=True),
    Index("provider_traits_by_trait", "trait"),
)

provider_aggregates = Table(
    "provider_aggregates",
    TABLES,
    Id("provider_id", ForeignKey("providers.id", ondelete="CASCADE"), primary_key=True),
    Id("aggregate_id", primary_key=True),
    Index("provider_aggregates_by_aggregate", "aggregate_id"),
)

# There as long as it has allocations.
consumers = Table(
    "consumers",
    TABLES,
    Id("id", primary_key=True),
    Column("consumer_type", String(64), nullable=False),
    Id("project_id", nullable=False, index=True),
    Id("user_id", nullable=False),
    Column("generation", BigInteger, nullable=False),
    Id("operation_id", nullable=False),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
    Column("updated_at", Timestamp, nullable=False, default=clock.now),
)

allocations = Table(
    "allocations",
    TABLES,
    Id("consumer_id", ForeignKey("consumers.id", ondelete="CASCADE"), primary_key=True),
    Id("provider_id", ForeignKey("providers.id"), primary_key=True),
    Column("resource_class", String(255), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Index("allocations_by_provider", "provider_id", "resource_class"),
)
