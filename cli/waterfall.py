"""A trace as a waterfall in text: a line a span, below what caused it, its bar where it stood in time."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from weft.telemetry.v1 import resources_pb2 as pb

_BAR = 28
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Line:
    """One span as it is drawn. `begin` and `took` are in milliseconds from the trace's first span."""

    depth: int
    name: str
    service: str
    begin: float
    took: float
    bar: str
    error: str
    failed: bool


def draw(spans: Sequence[pb.Span]) -> list[Line]:
    """The lines of a trace, causes before what they caused, in the order of their begin."""
    if not spans:
        return []
    first = min(_begin(span) for span in spans)
    whole = max(_begin(span) + milliseconds(span.duration) for span in spans) - first
    return [_line(span, depth, _begin(span) - first, max(whole, 0.001)) for span, depth in tree(spans)]


def tree(spans: Sequence[pb.Span]) -> Iterator[tuple[pb.Span, int]]:
    """Spans with their depth. A span whose cause is not among them begins a tree of its own."""
    known = {span.span_id for span in spans}
    below: dict[str, list[pb.Span]] = defaultdict(list)
    for span in sorted(spans, key=_begin):
        below[span.parent_span_id if span.parent_span_id in known else ""].append(span)
    waiting = [(span, 0) for span in reversed(below[""])]
    while waiting:
        span, depth = waiting.pop()
        yield span, depth
        waiting += [(inner, depth + 1) for inner in reversed(below[span.span_id])]


def orphans(spans: Sequence[pb.Span]) -> list[pb.Span]:
    """Spans whose cause should be there and is not: gaps of the trace."""
    known = {span.span_id for span in spans}
    return [span for span in spans if span.parent_span_id and span.parent_span_id not in known]


def milliseconds(duration: Duration) -> float:
    """A duration in milliseconds."""
    return duration.ToMicroseconds() / 1000


def _begin(span: pb.Span) -> float:
    at: Timestamp = span.started_at
    return at.ToMicroseconds() / 1000


def _line(span: pb.Span, depth: int, begin: float, whole: float) -> Line:
    took = milliseconds(span.duration)
    failed = span.status == pb.SPAN_STATUS_ERROR
    name = span.name.lstrip("/").removeprefix("weft.")
    return Line(
        depth, name, span.service, begin, took, _bar(begin / whole, took / whole),
        span.status_message if failed else "", failed,
    )  # fmt: skip


def _bar(begin: float, share: float) -> str:
    """At least an eighth of a character, however short the span was."""
    start = min(int(begin * _BAR), _BAR - 1)
    eighths = max(1, round(share * _BAR * 8))
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (_EIGHTHS[rest] if rest else "")
    return (" " * start + drawn)[:_BAR].ljust(_BAR)


def lasted(ms: float) -> str:
    """`0.42 ms`, `12 ms`, `3.20 s`."""
    if ms >= 1000:
        return f"{ms / 1000:.2f} s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.2f} ms"
