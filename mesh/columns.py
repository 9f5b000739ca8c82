"""Column types and the columns that every resource has, the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, LargeBinary, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

from mesh import clock, ids

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(span: timedelta) -> int:
    """A span in whole microseconds."""
    return span // _MICROSECOND


def _moment(value: int | None) -> datetime | None:
    return None if value is None else EPOCH + timedelta(microseconds=value)


def _read(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


class Timestamp(TypeDecorator[datetime]):
    """An aware datetime, kept as whole microseconds since the epoch. A naive one is refused."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        if value is None:
            return None
        return micros(value - EPOCH)

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """Called for each value of a long list: SQLAlchemy's own way to one takes three calls."""
        return _moment


class Json(TypeDecorator[Any]):
    """Any JSON value: text on SQLite, JSONB on PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return orjson.dumps(value).decode()

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """On PostgreSQL the driver has read it."""
        return super().result_processor(dialect, coltype) if dialect.name == "postgresql" else _read


def Id(name: str, *args: Any, **options: Any) -> Column[str]:
    """A column that holds a UUID as text."""
    return Column(name, String(36), *args, **options)


def Bytes(name: str, **options: Any) -> Column[bytes]:
    """A column that holds bytes."""
    return Column(name, LargeBinary, **options)


def resource_columns() -> list[Column[Any]]:
    """id, name, project_id, created_at, updated_at, revision, status, status_reason, operation_id.

    Fresh objects on each call: SQLAlchemy columns belong to one table. Defaults fill in everything but name,
    project_id and status.
    """
    return [
        Id("id", primary_key=True, default=ids.new),
        Column("name", String(255), nullable=False, default=""),
        Id("project_id", nullable=False, index=True),
        Column("created_at", Timestamp, nullable=False, default=clock.now),
        Column("updated_at", Timestamp, nullable=False, default=clock.now),
        Column("revision", BigInteger, nullable=False, default=1),
        Column("status", String(32), nullable=False),
        Column("status_reason", Text, nullable=False, default=""),
        Id("operation_id", nullable=True),
    ]
