"""Spans, and what they come to."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
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
from sqlalchemy.exc import IntegrityError

from mesh import clock
from mesh.caller import Caller
from mesh.paging import page
from services.telemetry.model import Event, Span, Summary, merged, summarize
from services.telemetry.tables import spans, trace_resources, traces

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUMMARY = tuple(field.name for field in fields(Summary))
_MICROSECOND = timedelta(microseconds=1)
# Rows a sweep deletes in one unit, so that it never holds the writer for long.
_SWEEP_ROWS = 5000
_CHANGE = update(traces).where(
    traces.c.trace_id == bindparam("_trace_id"), traces.c.project_id == bindparam("_project_id")
)

# Built once: these run twice a second, for hundreds of spans each time.
_IDS = bindparam("ids", expanding=True)
_SPANS = select(spans.c.trace_id, spans.c.span_id).where(spans.c.trace_id.in_(_IDS))
_HELD = select(traces).where(traces.c.trace_id.in_(_IDS)).with_for_update()
_LINKED = select(trace_resources).where(
    trace_resources.c.resource_id.in_(bindparam("resources", expanding=True)),
    trace_resources.c.trace_id.in_(_IDS),
)
_INSERT, _BEGIN, _LINK = insert(spans), insert(traces), insert(trace_resources)


def add(connection: Connection, arrived: Sequence[Span]) -> int:
    """Keep spans; one that is there already is left as it is. Answers how many were new."""
    unique = {(span.trace_id, span.span_id): span for span in arrived}
    new = list(unique.values())
    try:
        with connection.begin_nested():
            _insert(connection, new)
    except IntegrityError:  # an export that was sent again
        new = [span for key, span in unique.items() if key not in _known(connection, unique)]
        _insert(connection, new)
    if new:
        _merge(connection, {(each.trace_id, each.project_id): each for each in summarize(new)})
        _link(connection, new)
    return len(new)


def _insert(connection: Connection, new: Sequence[Span]) -> None:
    if new:
        connection.execute(_INSERT, [_values(span) for span in new])


def _known(connection: Connection, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    ids = {trace_id for trace_id, _ in keys}
    return {(row.trace_id, row.span_id) for row in connection.execute(_SPANS, {"ids": list(ids)})}


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
    held = connection.execute(_HELD, {"ids": list({trace_id for trace_id, _ in new})}).all()
    changed = [
        {"_trace_id": row.trace_id, "_project_id": row.project_id}
        | merged(_summary(row), new.pop((row.trace_id, row.project_id)))
        for row in held
        if (row.trace_id, row.project_id) in new
    ]
    if changed:
        connection.execute(_CHANGE, changed)
    if new:
        connection.execute(
            _BEGIN, [{name: getattr(summary, name) for name in _SUMMARY} for summary in new.values()]
        )


def _link(connection: Connection, new: Sequence[Span]) -> None:
    """Note which resources the traces are about."""
    links = {
        (resource_id, span.trace_id, span.project_id)
        for span in new
        if span.project_id is not None
        for resource_id in span.resource_ids
        if len(resource_id) <= 36
    }
    if not links:
        return
    asked = {"resources": list({link[0] for link in links}), "ids": list({link[1] for link in links})}
    links -= {tuple(row) for row in connection.execute(_LINKED, asked)}
    if links:
        names = ("resource_id", "trace_id", "project_id")
        connection.execute(_LINK, [dict(zip(names, link, strict=True)) for link in links])


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
