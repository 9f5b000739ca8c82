"""The audit trail: told by every service and host, read by who may."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import watch
from mesh.caller import Caller, Kind, current
from mesh.database import Database
from services.identity.model import Sight, sight
from services.identity.store import audit
from weft.identity.v1 import audit_service_pb2 as pb
from weft.identity.v1.audit_service_pb2_grpc import AuditServiceServicer


class Audit(AuditServiceServicer):
    """weft.identity.v1.AuditService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ListEvents(self, request: pb.ListEventsRequest, context: Any) -> pb.ListEventsResponse:
        """A page of what the caller may see."""
        caller = current()
        rows, more = await self._database.read(audit.listed, request, caller, sight(caller))
        return pb.ListEventsResponse(events=map(audit.to_proto, rows), next_page_token=more)

    async def WatchEvents(self, request: pb.WatchEventsRequest, context: Any) -> AsyncIterator[pb.AuditEvent]:
        """What the caller may see, as it arrives."""
        seen = sight(current())
        lots = watch.stream(self._database, audit.EVENT, request.from_revision or None, None)
        async for lot in lots:
            for event in pb.RecordEventsRequest.FromString(lot.payload).events:
                if _within(seen, event.initiator) and _wanted(request, event):
                    event.revision = lot.revision
                    yield event

    async def RecordEvents(self, request: pb.RecordEventsRequest, context: Any) -> Empty:
        """Keeps what the caller observed: by its certificate it is known who that is."""
        await self.keep(request.events, current())
        return Empty()

    async def keep(self, events: Iterable[pb.AuditEvent], caller: Caller) -> None:
        """Keep what a service or host observed."""
        kind, id = (
            ("compute/node", caller.host_id) if caller.kind is Kind.NODE else ("service", caller.service)
        )
        told = list(events)
        for event in told:
            event.observer.CopyFrom(pb.AuditObserver(type_uri=kind, id=id))
        await self._database.write(audit.record, told)


def _within(seen: Sight, who: pb.AuditInitiator) -> bool:
    if seen.project_id:
        return who.project_id == seen.project_id
    if seen.domain_id:
        return seen.domain_id in (who.domain_id, who.user_domain_id)
    return seen.everything or who.id == seen.user_id


def _wanted(request: pb.WatchEventsRequest, event: pb.AuditEvent) -> bool:
    said = {
        "initiator_id": event.initiator.id,
        "project_id": event.initiator.project_id,
        "action": event.action,
        "outcome": event.outcome,
        "target_id": event.target.id,
    }
    return all(getattr(request, name) in ("", value) for name, value in said.items())
