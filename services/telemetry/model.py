"""Spans as values, and whose they are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

PROJECT = "weft.project.id"
OPERATION = "weft.operation.id"
OPERATION_KIND = "weft.operation.kind"
RESOURCES = ("weft.resource.id", "weft.target.id")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened within a span."""

    name: str
    time: datetime
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work. Ids are lower-case hex; `kind` and `status` are names of the contract's enums
    without their prefixes.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    service: str
    name: str
    kind: str
    started_at: datetime
    duration: timedelta
    status: str
    status_message: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    events: tuple[Event, ...] = ()

    @property
    def ended_at(self) -> datetime:
        """When it ended."""
        return self.started_at + self.duration

    @property
    def project_id(self) -> str | None:
        """The project that the span names itself; "" is work for no project, None says nothing."""
        return self.attributes.get(PROJECT)

    @property
    def resource_ids(self) -> set[str]:
        """The resources that it worked on."""
        return {value for key in RESOURCES if (value := self.attributes.get(key))}


@dataclass(slots=True)
class Summary:
    """What a trace comes to, for one project."""

    trace_id: str
    project_id: str
    name: str
    started_at: datetime
    ended_at: datetime
    spans: int
    errors: int
    services: list[str]
    operation_id: str = ""
    operation_kind: str = ""
    resource_id: str = ""


def visible(spans: Iterable[Span], reach: str | None) -> list[Span]:
    """The spans of one trace that a caller may see, by begin with parents first.

    A caller may continue a trace that somebody else began: the trace id alone opens nothing. A span is its
    own project's; one that names none is its nearest descendant's, else its nearest ancestor's. `reach` None
    sees all.
    """
    ordered = sorted(spans, key=lambda span: (span.started_at, -span.duration, span.span_id))
    if reach is None:
        return ordered
    owners = _owners(ordered)
    return [span for span in ordered if owners[span.span_id] == reach]


def _owners(spans: list[Span]) -> dict[str, str | None]:
    by_id = {span.span_id: span for span in spans}
    owners: dict[str, str | None] = {span.span_id: span.project_id for span in spans}
    for span in spans:  # upwards: what a span caused says whose it is; the earliest begun speaks first
        if span.project_id is not None:
            for above in _above(span, by_id):
                if owners[above.span_id] is not None:
                    break
                owners[above.span_id] = span.project_id
    for span in spans:  # downwards: what nobody below claims belongs with its cause
        if owners[span.span_id] is None:
            causes = (owners[above.span_id] for above in _above(span, by_id))
            owners[span.span_id] = next((owner for owner in causes if owner is not None), None)
    return owners


def _above(span: Span, by_id: dict[str, Span]) -> Iterator[Span]:
    """Its ancestors, nearest first; a circle that somebody forged ends."""
    seen = {span.span_id}
    while (parent := by_id.get(span.parent_span_id)) and parent.span_id not in seen:
        seen.add(parent.span_id)
        yield parent
        span = parent


def summarize(spans: Iterable[Span]) -> list[Summary]:
    """One summary for each trace and project that the spans name."""
    groups: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for span in spans:
        if span.project_id is not None:
            groups[span.trace_id, span.project_id].append(span)
    return [summary(members, project_id) for (_, project_id), members in groups.items()]


def summary(spans: list[Span], project_id: str) -> Summary:
    """What these spans of one trace come to."""
    first = min(spans, key=lambda span: span.started_at)
    return Summary(
        trace_id=first.trace_id,
        project_id=project_id,
        name=first.name,
        started_at=first.started_at,
        ended_at=max(span.ended_at for span in spans),
        spans=len(spans),
        errors=sum(span.status == "ERROR" for span in spans),
        services=sorted({span.service for span in spans}),
        operation_id=_first(spans, OPERATION),
        operation_kind=_first(spans, OPERATION_KIND),
        resource_id=_first(spans, *reversed(RESOURCES)),
    )


def _first(spans: list[Span], *keys: str) -> str:
    return next((span.attributes[key] for key in keys for span in spans if span.attributes.get(key)), "")


def merged(old: Summary, new: Summary) -> dict[str, Any]:
    """What changes in a summary when more spans of its trace come in."""
    return {
        "name": old.name if old.started_at <= new.started_at else new.name,
        "started_at": min(old.started_at, new.started_at),
        "ended_at": max(old.ended_at, new.ended_at),
        "spans": old.spans + new.spans,
        "errors": old.errors + new.errors,
        "services": sorted({*old.services, *new.services}),
        "operation_id": old.operation_id or new.operation_id,
        "operation_kind": old.operation_kind or new.operation_kind,
        "resource_id": old.resource_id or new.resource_id,
    }
