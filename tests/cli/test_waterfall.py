"""A trace is drawn as it happened."""

from cli import waterfall
from weft.telemetry.v1 import resources_pb2 as pb


def span(id: str, parent: str, begin_ms: int, took_ms: int, **more: object) -> pb.Span:
    made = pb.Span(span_id=id, parent_span_id=parent, name=f"span {id}", service="s", **more)
    made.started_at.FromMilliseconds(1_000_000 + begin_ms)
    made.duration.FromMilliseconds(took_ms)
    return made


def test_causes_stand_before_what_they_caused_in_the_order_of_time() -> None:
    spans = [span("c", "a", 50, 10), span("b", "a", 10, 30), span("d", "b", 20, 5), span("a", "", 0, 100)]
    drawn = [(line.name, line.depth) for line in waterfall.draw(spans)]
    assert drawn == [("span a", 0), ("span b", 1), ("span d", 2), ("span c", 1)]


def test_a_bar_stands_where_the_span_stood_in_time() -> None:
    whole, late = waterfall.draw([span("a", "", 0, 100), span("b", "a", 50, 50)])
    assert whole.bar == "█" * len(whole.bar)
    half = len(late.bar) // 2
    assert late.bar == " " * half + "█" * half


def test_the_shortest_span_is_still_seen() -> None:
    lines = waterfall.draw([span("a", "", 0, 100_000), span("b", "a", 100_000, 0)])
    assert lines[1].bar.strip()


def test_a_span_whose_cause_is_missing_is_drawn_and_told_of() -> None:
    spans = [span("a", "", 0, 10), span("b", "lost", 5, 1)]
    assert [line.depth for line in waterfall.draw(spans)] == [0, 0]
    assert [gap.span_id for gap in waterfall.orphans(spans)] == ["b"]
    assert waterfall.orphans(spans[:1]) == []


def test_a_failed_span_shows_its_error() -> None:
    failed = span("a", "", 0, 1, status=pb.SPAN_STATUS_ERROR, status_message="no room")
    assert waterfall.draw([failed])[0].error == "no room"
    assert waterfall.draw([]) == []


def test_durations_are_said_in_the_unit_that_fits() -> None:
    assert [waterfall.lasted(ms) for ms in (0.417, 12.3, 3200)] == ["0.42 ms", "12 ms", "3.20 s"]
