"""The audit trail, told to identity: each call that changes something, and each refusal of any call; and each
look that was allowed, where the operator wants to know of those too.

A call pays for a few fields put into a queue; what waits is made into events and sent twice a second. When
identity does not take them they wait, and when too many wait the newest are lost, which is counted and
logged: no call is ever held up. Nothing of a request is told but the id of its target.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from mesh import caller, ids, peer, tracing
from mesh.caller import Caller, Kind
from mesh.channel import Peers
from mesh.contract import Method
from mesh.errors import CloudError
from weft.identity.v1 import audit_service_pb2 as pb
from weft.identity.v1.audit_service_pb2_grpc import AuditServiceStub
from weft.options.v1.access_pb2 import Access

EVERY = 0.5  # seconds between two rounds
WAITING = 10_000  # events that may wait
BATCH = 500  # as many as the contract takes at one time
# Refusals of who did not prove who they are, in one round: strangers shall not fill the trail by knocking.
STRANGERS = 50
_REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_EVENT = "http://schemas.dmtf.org/cloud/audit/1.0/event"
_INITIATORS = {
    Kind.USER: "service/security/account/user",
    Kind.SERVICE: "service",
    Kind.NODE: "compute/node",
    Kind.ANONYMOUS: "unknown",
}
_log = logging.getLogger(__name__)
Send = Callable[[list[pb.AuditEvent]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody who did not prove yet who they are: whom a login is about."""

    user_id: str
    user_name: str
    user_domain_id: str
    delegations: tuple[str, ...] = ()


_subject: ContextVar[Subject | None] = ContextVar("weft_audit_subject", default=None)


def about(user_id: str, user_name: str, user_domain_id: str, delegations: tuple[str, ...] = ()) -> None:
    """The call at hand is a login of this user, who is there, by what was handed on so: its event says it
    however it ends.
    """
    _subject.set(Subject(user_id, user_name, user_domain_id, delegations))


@dataclass(frozen=True, slots=True)
class Entry:
    """What a call leaves behind; `at` in nanoseconds since the epoch. An empty `reason` is success."""

    at: int
    method: "Recorder"
    caller: Caller
    subject: Subject | None
    address: str
    target_id: str
    project_id: str
    reason: str
    trace_id: str


class Trail:
    """The queue of one service's entries. `send` may be replaced before it runs; with `reads` what was only
    looked at is told of as well.
    """

    def __init__(self, send: Send, patience: Callable[[], float], reads: bool = False) -> None:
        self.send, self._patience, self.reads = send, patience, reads
        self._waiting: deque[Entry] = deque()
        self._batch: list[pb.AuditEvent] = []
        self._lost = self._strangers = 0

    def add(self, entry: Entry) -> None:
        """Keep one, unless too many wait."""
        if entry.caller.kind is Kind.ANONYMOUS and entry.subject is None and entry.reason:
            self._strangers += 1
            if self._strangers > STRANGERS:
                self._lost += 1
                return
        if len(self._waiting) >= WAITING:
            self._lost += 1
            return
        self._waiting.append(entry)

    async def run(self) -> None:
        """Send what waits, for as long as the process lives."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.flush()
            except CloudError as error:
                _log.debug("audit events wait: %s", error.message)

    async def flush(self) -> None:
        """Send all that waits. Raises CloudError, and keeps what was not taken."""
        self._strangers = 0
        if self._lost:
            _log.error("%d audit events were lost: too many came at once", self._lost)
            self._lost = 0
        while self._batch or self._waiting:
            if not self._batch:
                taken = min(BATCH, len(self._waiting))
                self._batch = [event(self._waiting.popleft()) for _ in range(taken)]
            await self.send(self._batch)
            self._batch = []

    async def close(self) -> None:
        """Send what is left, within the seconds that `patience` has left for it."""
        try:
            async with asyncio.timeout(self._patience()):
                await self.flush()
        except (CloudError, TimeoutError):
            _log.error("%d audit events were lost at the end", len(self._batch) + len(self._waiting))


class Recorder:
    """What of one RPC's calls goes into the trail."""

    def __init__(self, trail: Trail, method: Method, access: Access) -> None:
        self._trail = trail
        told_of = method.ours and not access.unaudited
        self._grants = told_of and not method.reads
        self._looks = told_of and method.reads and trail.reads
        self._target_field = _target_field(method.request_type)
        self.path, self.action = method.path, access.permission
        self.target_type = "/".join(access.permission.split(".")[:2])

    def done(self, context: Any, metadata: Mapping[str, Any], request: Any, answer: Any) -> None:
        """The call was let in, and did what it is for."""
        if self._looks or (self._grants and not getattr(request, "validate_only", False)):
            self._add(context, metadata, request, answer, "", tracing.trace_id())

    def let_in(self, context: Any, metadata: Mapping[str, Any], request: Any) -> None:
        """The call will be answered for as long as the caller listens: a look is one from its beginning."""
        if self._looks:
            self._add(context, metadata, request, None, "", tracing.trace_id())

    def failed(
        self, context: Any, metadata: Mapping[str, Any], request: Any, error: CloudError, trace_id: str
    ) -> None:
        """The call was refused, or failed. `request` is None until it was found valid."""
        if self._grants or error.code in _REFUSALS:
            self._add(context, metadata, request, None, error.reason, trace_id)

    def _add(
        self,
        context: Any,
        metadata: Mapping[str, Any],
        request: Any,
        answer: Any,
        reason: str,
        trace_id: str,
    ) -> None:
        who = caller.current()
        entry = Entry(
            time.time_ns(),
            self,
            who,
            _subject.get(),
            peer.address(context, metadata, who),
            self._target(request, answer),
            who.project_id or _text(answer, "project_id"),
            reason,
            trace_id,
        )
        self._trail.add(entry)

    def _target(self, request: Any, answer: Any) -> str:
        """The id of what the call is about: of what was made, or as the request says."""
        if self._target_field and (said := _text(request, self._target_field)):
            return said
        return _text(answer, "id")


def _target_field(request_type: type[Message]) -> str:
    """The field that names what a request is about: its `id`, else the first id in it."""
    names = [
        field.name
        for field in request_type.DESCRIPTOR.fields
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated
    ]
    if "id" in names:
        return "id"
    return next((name for name in names if name.endswith("_id") and name != "request_id"), "")


def _text(message: Any, field: str) -> str:
    found = getattr(message, field, "")
    return found if isinstance(found, str) else ""


def event(entry: Entry) -> pb.AuditEvent:
    """An entry as the contract's message; who observed it is said by who takes it."""
    made = pb.AuditEvent(
        id=ids.new(),
        type_uri=_EVENT,
        event_type="activity",
        action=entry.method.action,
        outcome="failure" if entry.reason else "success",
        initiator=_initiator(entry),
        target=pb.AuditTarget(type_uri=entry.method.target_type, id=entry.target_id[:255]),
        request_path=entry.method.path,
        trace_id=entry.trace_id,
    )
    made.event_time.FromNanoseconds(entry.at)
    if entry.reason:
        made.reason.reason_type, made.reason.reason_code = "weft.errors.v1.Reason", entry.reason
    return made


def _initiator(entry: Entry) -> pb.AuditInitiator:
    who, host = entry.caller, pb.AuditHost(address=entry.address[:255])
    if entry.subject is not None and who.kind is Kind.ANONYMOUS:
        said = entry.subject
        return pb.AuditInitiator(
            type_uri=_INITIATORS[Kind.USER],
            id=said.user_id,
            name=said.user_name[:255],
            user_domain_id=said.user_domain_id,
            credential_id=said.delegations[-1] if said.delegations else "",
            delegation_ids=said.delegations,
            host=host,
        )
    kind = Kind.USER if who.user_id else who.kind
    return pb.AuditInitiator(
        type_uri=_INITIATORS[kind],
        id=who.user_id or who.host_id or who.service,
        name=who.user_name[:255],
        project_id=entry.project_id,
        domain_id=who.domain_id,
        user_domain_id=who.user_domain_id,
        via=who.service if who.user_id else "",
        credential_id=who.delegation_id,
        delegation_ids=who.delegations,
        host=host,
    )


def to_identity(peers: Peers) -> Send:
    """Sends events to identity, on the process's own account."""

    async def send(events: Iterable[pb.AuditEvent]) -> None:
        stub = peers.stub(AuditServiceStub, service="identity")
        with caller.acting_as(caller.ANONYMOUS):
            await stub.RecordEvents(pb.RecordEventsRequest(events=events), timeout=5)

    return send
