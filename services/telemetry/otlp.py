"""OTLP's messages as spans of ours."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from services.telemetry.model import Event, Span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Longer values are cut: a span is for reading, and one sender must not fill the store.
_VALUE_LENGTH = 4096
_KINDS = {0: "INTERNAL", 1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}


def spans(batches: Iterable[trace_pb2.ResourceSpans]) -> Iterator[Span]:
    """Every well-formed span of an export; one without ids or times is left out, as OTLP asks."""
    for batch in batches:
        service = _attributes(batch.resource.attributes).get("service.name", "unknown")
        for scope in batch.scope_spans:
            for span in scope.spans:
                if len(span.trace_id) == 16 and len(span.span_id) == 8 and span.start_time_unix_nano:
                    yield _span(span, service)


def _span(span: trace_pb2.Span, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        service=service[:64],
        name=span.name[:255],
        kind=_KINDS.get(span.kind, "INTERNAL"),
        started_at=_time(span.start_time_unix_nano),
        duration=timedelta(microseconds=max(0, span.end_time_unix_nano - span.start_time_unix_nano) // 1000),
        status="ERROR" if span.status.code == trace_pb2.Status.STATUS_CODE_ERROR else "OK",
        status_message=span.status.message[:_VALUE_LENGTH],
        attributes=_attributes(span.attributes),
        events=tuple(
            Event(event.name[:255], _time(event.time_unix_nano), _attributes(event.attributes))
            for event in span.events
        ),
    )


def _time(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return {pair.key[:255]: _text(pair.value)[:_VALUE_LENGTH] for pair in pairs}


def _text(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case None:
            return ""
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "bytes_value":
            return value.bytes_value.hex()
        case "array_value":
            return ",".join(_text(item) for item in value.array_value.values)
        case "kvlist_value":
            return ",".join(f"{pair.key}={_text(pair.value)}" for pair in value.kvlist_value.values)
        case kind:
            return str(getattr(value, kind))
