"""The journal: an operation's row, and the few statements that move it. All of them are conditional.

A worker owns an operation by (owner, epoch) for as long as its lease runs; whoever takes it over counts the
epoch up, and every write of the one before it then changes no row: it is fenced.
"""

import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Row, and_, bindparam, insert, or_, select, update

from mesh import caller, clock, ids, moment
from mesh.caller import Caller
from mesh.columns import micros
from mesh.errors import CloudError
from mesh.prepared import Prepared
from mesh.steps import AT_ONCE, Flow
from mesh.tables import operations

ACTIVE = ("PENDING", "RUNNING", "UNWINDING")
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Fenced(Exception):
    """Another worker owns the operation: this one must not touch it any more."""


class CancelledFirst(Exception):
    """The operation was cancelled before its commit point was written."""


class Failure(msgspec.Struct, omit_defaults=True):
    """A failure as it is kept."""

    reason: str
    message: str
    metadata: dict[str, str] = {}

    @classmethod
    def of(cls, error: CloudError) -> "Failure":
        return cls(error.reason, error.message, dict(error.metadata))

    def error(self) -> CloudError:
        found = CloudError(self.reason, self.message)
        found.metadata.update(self.metadata)
        return found


class StepRecord(msgspec.Struct, omit_defaults=True):
    """Where a step is: PENDING, STARTED, DONE, FAILED, UNDOING, UNDONE. `failures`: of its attempts.

    `done_bytes` of `total_bytes`: how far it is, where it tells.
    """

    name: str
    state: str = "PENDING"
    attempts: int = 0
    failures: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: Failure | None = None
    output: dict[str, Any] | None = None
    done_bytes: int = 0
    total_bytes: int = 0


class Journal(msgspec.Struct, omit_defaults=True):
    """What is known of an operation's way. `unwind_to`: undo back to that step, then go on from it."""

    steps: list[StepRecord]
    excluded: list[dict[str, Any]] = []
    round: int = 0
    unwind_to: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Journal).decode
_decode_failure = msgspec.json.Decoder(Failure).decode


@dataclass
class Entry:
    """An operation as its worker holds it in memory. `ahead`: of our clock was the database's by so much."""

    id: str
    kind: str
    target_type: str
    target_id: str
    project_id: str
    caller: Caller
    input: dict[str, Any]
    traceparent: str
    state: str
    journal: Journal
    error: Failure | None
    deadline: datetime
    committed: bool
    cancel_requested: bool
    owner: str
    epoch: int
    ahead: timedelta = timedelta(0)

    def left(self) -> timedelta:
        """How long it is until the deadline."""
        return self.deadline - clock.now() - self.ahead

    def copy(self) -> "Entry":
        """One that can be changed without this one noticing."""
        journal = copy.copy(self.journal)
        journal.steps = [copy.copy(record) for record in journal.steps]
        return replace(self, journal=journal)


def entry(row: Row[Any]) -> Entry:
    """The operation that a row holds, which says when it was read."""
    return Entry(
        id=row.id,
        kind=row.kind,
        target_type=row.target_type,
        target_id=row.target_id,
        project_id=row.project_id,
        caller=caller.decode(row.caller),
        input=msgspec.json.decode(row.input),
        traceparent=row.traceparent,
        state=row.state,
        journal=journal_of(row),
        error=failure_of(row),
        deadline=row.deadline,
        committed=row.committed,
        cancel_requested=row.cancel_requested,
        owner=row.owner,
        epoch=row.epoch,
        ahead=row.now - clock.now(),
    )


def journal_of(row: Row[Any]) -> Journal:
    """The journal of a row."""
    return _decode(row.journal)


def failure_of(row: Row[Any]) -> Failure | None:
    """Why the operation of a row failed or unwinds."""
    return _decode_failure(row.error) if row.error else None


_OWN = ("deadline", "lease_until", "error", "ended_at")
_BEGIN = Prepared(
    insert(operations).values(
        {c.key: bindparam(c.key, type_=c.type) for c in operations.c if c.key not in _OWN}
        | {"deadline": moment.now(bindparam("life", type_=BigInteger))}
        | {"lease_until": moment.now(bindparam("lease", type_=BigInteger))}
    )
)


def begin(
    connection: Connection,
    flow: Flow,
    *,
    operation_id: str,
    target_id: str,
    project_id: str,
    acting: Caller,
    input: dict[str, Any],
    traceparent: str,
    owner: str,
    lease: timedelta,
) -> Entry:
    """Write a new operation; with an `owner` it is that worker's from the start."""
    now = clock.now()
    steps = [StepRecord(step.name) for step in flow.steps]
    if owner and not flow.steps[0].local:
        # Its worker begins with it right after the commit, and need not write so again.
        steps[0] = StepRecord(flow.steps[0].name, state="STARTED", attempts=1, started_at=now)
    made = Entry(
        id=operation_id or ids.new(),
        kind=flow.kind,
        target_type=flow.target_type,
        target_id=target_id,
        project_id=project_id,
        caller=acting,
        input=input,
        traceparent=traceparent,
        state="RUNNING" if owner else "PENDING",
        journal=Journal(steps),
        error=None,
        deadline=now + timedelta(seconds=flow.deadline),
        committed=flow.commit == AT_ONCE,
        cancel_requested=False,
        owner=owner,
        epoch=1 if owner else 0,
    )
    life = timedelta(seconds=flow.deadline)
    lease = lease if owner else timedelta(0)
    spans = {"life": micros(life), "lease": micros(lease)}
    _BEGIN.run(connection, **_row(made, now), **spans)
    return made


def _row(made: Entry, now: datetime) -> dict[str, Any]:
    """The row of a new operation."""
    return {
        "id": made.id,
        "kind": made.kind,
        "target_type": made.target_type,
        "target_id": made.target_id,
        "project_id": made.project_id,
        "user_id": made.caller.user_id,
        "caller": caller.encode(made.caller),
        "state": made.state,
        "input": msgspec.json.encode(made.input).decode(),
        "journal": _encode(made.journal).decode(),
        "traceparent": made.traceparent,
        "created_at": now,
        "updated_at": now,
        "revision": 1,
        "committed": made.committed,
        "cancel_requested": False,
        "owner": made.owner,
        "epoch": made.epoch,
    }


# These run several times in each operation's life.
_MOVED = (
    update(operations)
    .where(
        operations.c.id == bindparam("held_id"),
        operations.c.owner == bindparam("held_owner"),
        operations.c.epoch == bindparam("held_epoch"),
    )
    .values(
        {name: bindparam(name) for name in ("state", "journal", "error", "committed", "ended_at")}
        | {"updated_at": bindparam("now"), "lease_until": moment.now(bindparam("lease", type_=BigInteger))}
        | {"revision": operations.c.revision + 1}
    )
)
_RECORD = Prepared(_MOVED)
_COMMIT = Prepared(_MOVED.where(operations.c.cancel_requested.is_(False)))


def record(connection: Connection, held: Entry, lease: timedelta, *, commits: bool) -> None:
    """Write where the operation is, and renew its lease. `commits`: this write is the commit point.

    Raises Fenced when another worker owns it, CancelledFirst when it commits but was cancelled meanwhile.
    """
    now = clock.now()
    values = {
        "held_id": held.id,
        "held_owner": held.owner,
        "held_epoch": held.epoch,
        "state": held.state,
        "journal": _encode(held.journal).decode(),
        "error": _encode_failure(held.error),
        "committed": held.committed,
        "ended_at": None if held.state in ACTIVE else now,
        "now": now,
        "lease": micros(lease),
    }
    if (_COMMIT if commits else _RECORD).run(connection, **values):
        return
    row = read(connection, held.id)
    if row is not None and (row.owner, row.epoch) == (held.owner, held.epoch):
        raise CancelledFirst(held.id)
    raise Fenced(held.id)


def _encode_failure(failure: Failure | None) -> str | None:
    return None if failure is None else msgspec.json.encode(failure).decode()


_READ = Prepared(select(operations, moment.now().label("now")).where(operations.c.id == bindparam("id")))


def read(connection: Connection, id: str) -> Row[Any] | None:
    """The row of an operation."""
    return _READ.one(connection, id=id)


def claimable(connection: Connection, kinds: list[str], owner: str, alone: bool, limit: int) -> list[str]:
    """Ids of operations that nobody works on: their lease is over, or, `alone`, they are not `owner`'s."""
    free = operations.c.lease_until <= moment.now()
    if alone:
        free = or_(free, operations.c.owner != owner)
    mine = and_(operations.c.state.in_(ACTIVE), operations.c.kind.in_(kinds), free)
    query = select(operations.c.id).where(mine).order_by(operations.c.created_at).limit(limit)
    return list(connection.scalars(query))


def claim(connection: Connection, ids: list[str], owner: str, alone: bool, lease: timedelta) -> list[Entry]:
    """Take operations over, their epochs counted up; not those where somebody else was first."""
    free = operations.c.lease_until <= moment.now()
    if alone:
        free = or_(free, operations.c.owner != owner)
    rows = connection.execute(
        update(operations)
        .where(operations.c.id.in_(ids), operations.c.state.in_(ACTIVE), free)
        .values(owner=owner, epoch=operations.c.epoch + 1, lease_until=moment.now(lease))
        .returning(operations, moment.now().label("now"))
    )
    return [entry(row) for row in rows]


def still(connection: Connection, id: str, epoch: int) -> None:
    """Keep an operation its worker's until the unit ends: for effects in this database beside the journal.

    Raises Fenced when another worker has taken it over since `epoch`.
    """
    query = select(operations.c.epoch).where(operations.c.id == id).with_for_update()
    if connection.scalar(query) != epoch:
        raise Fenced(id)


def renew(connection: Connection, owner: str, ids: list[str], lease: timedelta) -> None:
    """Renew the leases of what `owner` works on."""
    mine = and_(operations.c.id.in_(ids), operations.c.owner == owner, operations.c.state.in_(ACTIVE))
    connection.execute(update(operations).where(mine).values(lease_until=moment.now(lease)))


def release(connection: Connection, owner: str) -> None:
    """Let others take over at once what `owner` worked on."""
    mine = and_(operations.c.owner == owner, operations.c.state.in_(ACTIVE))
    connection.execute(update(operations).where(mine).values(lease_until=NEVER))


def cancelled(connection: Connection, owner: str) -> list[str]:
    """Ids of what `owner` works on that somebody wants cancelled."""
    mine = and_(operations.c.owner == owner, operations.c.state == "RUNNING")
    return list(connection.scalars(select(operations.c.id).where(mine, operations.c.cancel_requested)))


def cancel(connection: Connection, id: str) -> bool:
    """Ask for an operation to be cancelled; False when it is past its commit point or has ended."""
    can = and_(
        operations.c.id == id,
        operations.c.state.in_(("PENDING", "RUNNING")),
        operations.c.committed.is_(False),
    )
    change = update(operations).where(can)
    bumped = {"cancel_requested": True, "updated_at": clock.now(), "revision": operations.c.revision + 1}
    return bool(connection.execute(change.values(bumped)).rowcount)
