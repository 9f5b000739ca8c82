"""What hosts say of their guests, against the servers that they are of.

A server that nothing is under way on takes the status that its guest shows. While an operation is under way
what the host said is kept, for the operation's end to go by. Guests of servers that are not known are told to
the operator in the log; nobody touches them.
"""

import logging
from datetime import timedelta
from typing import Any

from mesh import clock
from mesh.database import Connection
from services.compute import model
from services.compute.store import servers
from weft.compute.v1.host_service_pb2 import GuestEvent, GuestState, ReportGuestEventsRequest

_log = logging.getLogger(__name__)
# A report may have been on its way while a guest was made: one that is so young is not missed yet.
_YOUNG = timedelta(seconds=30)


def take(connection: Connection, report: ReportGuestEventsRequest) -> None:
    """Take in a host's report, in one unit of work."""
    for event in report.events:
        _take_one(connection, report.host_id, event)
    if report.complete:
        reported = {event.server_id for event in report.events}
        note_missing(connection, report.host_id, reported)


def note_missing(connection: Connection, host_id: str, reported: set[str]) -> None:
    """The host has no guests but those reported: servers that should have one there have lost it."""
    youngest = clock.now() - _YOUNG
    for row in servers.on_host(connection, host_id, lock=True):
        if row.id not in reported and (row.launched_at is None or row.launched_at < youngest):
            settle(connection, row, "GONE", "not among the host's guests")


def settle(connection: Connection, row: Any, guest_state: str, detail: str, **noted: Any) -> None:
    """Keep what the host said, and let a server that nothing is under way on follow it."""
    noted["guest_state"] = guest_state
    status = model.following(row.status, guest_state)
    if row.operation_id or row.status == status:
        if row.guest_state != guest_state:
            servers.note_guest(connection, row.id, noted)
        return
    _log.info("server %s is %s: its guest is %s (%s)", row.id, status, guest_state, detail)
    reason = model.loss(guest_state, detail)
    servers.change(connection, row.id, {**noted, "status": status, "status_reason": reason})


def _take_one(connection: Connection, host_id: str, event: GuestEvent) -> None:
    state = GuestState.Name(event.state).removeprefix("GUEST_STATE_")
    if state not in model.BY_GUEST_STATE:
        return
    row = servers.find(connection, event.server_id, lock=True)
    if row is None or not _is_there(row, host_id):
        if state != "GONE" and (row is None or row.spare_claim_id is None):
            _log.warning("host %s has a guest of server %s, which is not there", host_id, event.server_id)
        return
    at = clock.from_proto(event.occurred_at) if event.HasField("occurred_at") else None
    if at and row.guest_state_at and at < row.guest_state_at:
        return
    settle(connection, row, state, event.detail, guest_state_at=at)


def _is_there(row: Any, host_id: str) -> bool:
    """A server that is being made has its guest somewhere before its row says where."""
    return row.host_id == host_id or (row.host_id is None and bool(row.operation_id))
