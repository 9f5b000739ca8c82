"""The tables that the mesh keeps in every service's database: operations, events, requests."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

from mesh.columns import Id, Timestamp

_metadata = MetaData()

# One row is one flow with its whole journal: a step forward is one conditional UPDATE, which is at once the
# journal's entry, the lease's renewal and the fence against a worker that lost it.
operations = Table(
    "operations",
    _metadata,
    Id("id", primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("target_type", String(64), nullable=False),
    Id("target_id", nullable=False, index=True),
    Id("project_id", nullable=False),
    Id("user_id", nullable=False),
    Column("caller", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("input", Text, nullable=False),
    Column("journal", Text, nullable=False),
    Column("error", Text),
    Column("traceparent", String(64), nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    Column("ended_at", Timestamp),
    Column("deadline", Timestamp, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("committed", Boolean, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("owner", String(128), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("lease_until", Timestamp, nullable=False),
    Index("operations_by_age", "created_at", "id"),
    Index("operations_by_state", "state", "lease_until"),
)

# The head row is taken by whoever appends until it commits, so that revisions become visible in their order.
event_head = Table(
    "event_head",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

events = Table(
    "events",
    _metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("type", String(16), nullable=False),
    Column("resource_type", String(64), nullable=False),
    Id("resource_id", nullable=False),
    Id("project_id", nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)

requests = Table(
    "requests",
    _metadata,
    Column("method", String(255), primary_key=True),
    Column("caller", String(255), primary_key=True),
    Id("request_id", primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("created_at", Timestamp, nullable=False, index=True),
)

NAMES = frozenset(_metadata.tables)


def add_to(metadata: MetaData) -> None:
    """Put the mesh's tables beside a service's own."""
    for table in _metadata.sorted_tables:
        table.to_metadata(metadata)


def create(op: Any) -> None:
    """Create the mesh's tables; each service's first migration calls it with alembic's `op`."""
    bind = op.get_bind()
    _metadata.create_all(bind)
    bind.execute(event_head.insert().values(id=1, revision=0))
