"""Telemetry's tables: spans as they came, one summary for each trace and project, and warnings."""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

from mesh import tables
from mesh.columns import Id, Json, Timestamp

TABLES = MetaData()
tables.add_to(TABLES)

spans = Table(
    "spans",
    TABLES,
    Column("trace_id", String(32), primary_key=True),
    Column("span_id", String(16), primary_key=True),
    Column("parent_span_id", String(16), nullable=False),
    Column("service", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("status", String(8), nullable=False),
    Column("status_message", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("events", Json, nullable=False),
    Index("spans_by_age", "started_at"),
)

# Only spans that name a project count here: whoever continues another's trace has a row of their own.
traces = Table(
    "traces",
    TABLES,
    Column("trace_id", String(32), primary_key=True),
    Column("project_id", String(36), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("ended_at", Timestamp, nullable=False),
    Column("spans", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("services", Json, nullable=False),
    Column("operation_id", String(36), nullable=False),
    Column("operation_kind", String(64), nullable=False),
    Column("resource_id", String(36), nullable=False),
    Index("traces_by_age", "started_at", "trace_id"),
    Index("traces_by_project", "project_id", "started_at"),
    Index("traces_by_operation", "operation_id"),
)

trace_resources = Table(
    "trace_resources",
    TABLES,
    Id("resource_id", primary_key=True),
    Column("trace_id", String(32), primary_key=True),
    Column("project_id", String(36), primary_key=True),
)

# `id` derives from who found what: a warning that is told again is the same row.
warnings = Table(
    "warnings",
    TABLES,
    Id("id", primary_key=True),
    Column("source", String(64), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("resource_type", String(32), nullable=False),
    Column("resource_id", String(255), nullable=False),
    Column("host_id", String(36), nullable=False),
    Column("message", Text, nullable=False),
    Column("first_seen_at", Timestamp, nullable=False),
    Column("last_seen_at", Timestamp, nullable=False),
    Index("warnings_by_age", "first_seen_at", "id"),
    Index("warnings_by_source", "source", "topic"),
)
