"""The audit trail: rows that are written once, and an event for each lot of them, for who watches."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from mesh import clock, outbox
from mesh.caller import Caller
from mesh.paging import page
from mesh.prepared import Prepared
from services.identity.model import Sight
from services.identity.tables import audit_events as table
from weft.identity.v1.audit_service_pb2 import AuditEvent, RecordEventsRequest

EVENT = "audit"
_KEEP = {
    name: Prepared(insert(table).on_conflict_do_nothing().returning(table.c.id), *table.c.keys())
    for name, insert in {"sqlite": sqlite.insert, "postgresql": postgresql.insert}.items()
}
_FILTERS = ("initiator_id", "project_id", "action", "outcome", "target_id")


def record(connection: Connection, events: Sequence[AuditEvent]) -> None:
    """Keep events, and tell those who watch; what is known already is not kept twice."""
    keep = _KEEP[connection.dialect.name]
    fresh = [event for event in events if keep.one(connection, **_row(event)) is not None]
    if fresh:
        outbox.append(connection, "CREATED", EVENT, "", "", RecordEventsRequest(events=fresh))


def listed(connection: Connection, request: Any, caller: Caller, sight: Sight) -> tuple[list[Row[Any]], str]:
    """A page of events, newest first."""
    query = select(table).where(*_within(sight))
    for name in _FILTERS:
        if getattr(request, name):
            query = query.where(table.c[name] == getattr(request, name))
    if request.HasField("since"):
        query = query.where(table.c.at >= clock.from_proto(request.since))
    if request.HasField("until"):
        query = query.where(table.c.at < clock.from_proto(request.until))
    return page(connection, query, [table.c.at.desc(), table.c.id.desc()], request, caller, (sight,))


def _within(sight: Sight) -> Iterable[ColumnElement[bool]]:
    if sight.project_id:
        yield table.c.project_id == sight.project_id
    elif sight.domain_id:
        yield or_(table.c.domain_id == sight.domain_id, table.c.user_domain_id == sight.domain_id)
    elif not sight.everything:
        yield table.c.initiator_id == sight.user_id


def forget(connection: Connection, days: int) -> int:
    """Delete what is older; how many there were."""
    return connection.execute(delete(table).where(table.c.at < clock.now() - timedelta(days=days))).rowcount


def _row(event: AuditEvent) -> dict[str, Any]:
    who = event.initiator
    return {
        "id": event.id,
        "at": clock.from_proto(event.event_time),
        "action": event.action,
        "outcome": event.outcome,
        "reason": event.reason.reason_code,
        "initiator_type": who.type_uri,
        "initiator_id": who.id,
        "initiator_name": who.name,
        "project_id": who.project_id,
        "domain_id": who.domain_id,
        "user_domain_id": who.user_domain_id,
        "via": who.via,
        "credential_id": who.credential_id,
        "delegation_ids": list(who.delegation_ids) or None,
        "address": who.host.address,
        "target_type": event.target.type_uri,
        "target_id": event.target.id,
        "observer_type": event.observer.type_uri,
        "observer_id": event.observer.id,
        "path": event.request_path,
        "trace_id": event.trace_id,
    }


def to_proto(row: Any) -> AuditEvent:
    """A row as the contract's message."""
    made = AuditEvent(
        id=row.id,
        type_uri="http://schemas.dmtf.org/cloud/audit/1.0/event",
        event_type="activity",
        event_time=clock.to_proto(row.at),
        action=row.action,
        outcome=row.outcome,
        initiator={
            "type_uri": row.initiator_type,
            "id": row.initiator_id,
            "name": row.initiator_name,
            "project_id": row.project_id,
            "domain_id": row.domain_id,
            "user_domain_id": row.user_domain_id,
            "via": row.via,
            "credential_id": row.credential_id,
            "delegation_ids": row.delegation_ids or (),
            "host": {"address": row.address},
        },
        target={"type_uri": row.target_type, "id": row.target_id},
        observer={"type_uri": row.observer_type, "id": row.observer_id},
        request_path=row.path,
        trace_id=row.trace_id,
    )
    if row.reason:
        made.reason.reason_type, made.reason.reason_code = "weft.errors.v1.Reason", row.reason
    return made
