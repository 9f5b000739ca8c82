"""Spans, and what they come to."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    select,
    tuple_,
    type_coerce,
    update,
)

from mesh import clock
from mesh.caller import Caller
from mesh.paging import page
from services.telemetry.model import Event, Span, Summary, merged, summarize
from services.telemetry.tables import spans, trace_resources, traces

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Rows a sweep deletes in one unit, so that it never holds the writer for long.
_SWEEP_ROWS = 5000
_CHANGE = update(traces).where(
    traces.c.trace_id == bindparam("_trace_id"), traces.c.project_id == bindparam("_project_id")
)


def add(connection: Connection, arrived: Sequence[Span]) -> int:
    """Keep spans; one that is there already is left as it is. Answers how many were new."""
    unique = {(span.trace_id, span.span_id): span for span in arrived}
    known = {
        tuple(row)
        for row in connection.execute(
            select(spans.c.trace_id, spans.c.span_id).where(
                tuple_(spans.c.trace_id, spans.c.span_id).in_(list(unique))
            )
        )
    }
    new = [span for key, span in unique.items() if key not in known]
    if new:
        connection.execute(insert(spans), [_values(span) for span in new])
        _merge(connection, {(each.trace_id, each.project_id): each for each in summarize(new)})
        _link(connection, new)
    return len(new)


def _values(span: Span) -> dict[str, Any]:
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "service": span.service,
        "name": span.name,
        "kind": span.kind,
        "started_at": span.started_at,
        "duration_us": span.duration // _MICROSECOND,
        "status": span.status,
        "status_message": span.status_message,
        "attributes": span.attributes,
        "events": [[event.name, _microseconds(event.time), event.attributes] for event in span.events],
    }


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _merge(connection: Connection, new: dict[tuple[str, str], Summary]) -> None:
    """Count new spans into the summaries of their traces, all in three statements."""
    mine = tuple_(traces.c.trace_id, traces.c.project_id).in_(list(new))
    held = connection.execute(select(traces).where(mine).with_for_update()).all()
    changed = [
        {"_trace_id": row.trace_id, "_project_id": row.project_id}
        | merged(_summary(row), new.pop((row.trace_id, row.project_id)))
        for row in held
    ]
    if changed:
        connection.execute(_CHANGE, changed)
    if new:
        connection.execute(insert(traces), [asdict(summary) for summary in new.values()])


def _link(connection: Connection, new: Sequence[Span]) -> None:
    """Note which resources the traces are about."""
    links = {
        (resource_id, span.trace_id, span.project_id)
        for span in new
        if span.project_id is not None
        for resource_id in span.resource_ids
        if len(resource_id) <= 36
    }
    columns = (trace_resources.c.resource_id, trace_resources.c.trace_id, trace_resources.c.project_id)
    if not links:
        return
    known = {
        tuple(row) for row in connection.execute(select(*columns).where(tuple_(*columns).in_(list(links))))
    }
    rows = [dict(zip(("resource_id", "trace_id", "project_id"), link, strict=True)) for link in links - known]
    if rows:
        connection.execute(insert(trace_resources), rows)


def _summary(row: Row[Any]) -> Summary:
    return Summary(**row._mapping)


def get(connection: Connection, trace_id: str) -> list[Span]:
    """Every span of a trace, whosever it is."""
    return [_span(row) for row in connection.execute(select(spans).where(spans.c.trace_id == trace_id))]


def _span(row: Row[Any]) -> Span:
    values = dict(row._mapping)
    values["duration"] = timedelta(microseconds=values.pop("duration_us"))
    values["events"] = tuple(
        Event(name, _EPOCH + timedelta(microseconds=at), attributes)
        for name, at, attributes in values["events"]
    )
    return Span(**values)


def find(connection: Connection, request: Any, caller: Caller) -> tuple[list[Summary], str]:
    """A page of traces that the caller may see, newest first; `request` is a ListTracesRequest."""
    query = select(traces)
    if caller.reach is not None:
        query = query.where(traces.c.project_id == caller.reach)
    if request.operation_id:
        query = query.where(traces.c.operation_id == request.operation_id)
    if request.operations_only:
        query = query.where(traces.c.operation_id != "")
    if request.errors_only:
        query = query.where(traces.c.errors > 0)
    if request.HasField("min_duration"):
        lasted = type_coerce(traces.c.ended_at, BigInteger) - type_coerce(traces.c.started_at, BigInteger)
        query = query.where(lasted >= request.min_duration.ToMicroseconds())
    if request.HasField("started_after"):
        query = query.where(traces.c.started_at >= request.started_after.ToDatetime(tzinfo=UTC))
    if request.resource_id:
        link = trace_resources.c
        about = and_(link.trace_id == traces.c.trace_id, link.project_id == traces.c.project_id)
        query = query.where(exists().where(about, link.resource_id == request.resource_id))
    order = (traces.c.started_at.desc(), traces.c.trace_id.desc(), traces.c.project_id.desc())
    rows, token = page(connection, query, order, request, caller)
    return [_summary(row) for row in rows], token


def forget(connection: Connection, older_than: timedelta) -> bool:
    """Delete a portion of what began before then; True when there is more to delete."""
    limit = clock.now() - older_than
    old = list(
        connection.scalars(select(traces.c.trace_id).where(traces.c.started_at < limit).limit(_SWEEP_ROWS))
    )
    for table in (trace_resources, traces):
        connection.execute(delete(table).where(table.c.trace_id.in_(old)))
    stale = select(spans.c.trace_id, spans.c.span_id).where(spans.c.started_at < limit).limit(_SWEEP_ROWS)
    key = tuple_(spans.c.trace_id, spans.c.span_id)
    deleted = connection.execute(delete(spans).where(key.in_(stale)))
    return len(old) == _SWEEP_ROWS or deleted.rowcount == _SWEEP_ROWS
