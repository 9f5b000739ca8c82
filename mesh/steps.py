"""How a flow is declared: steps with their undo, and what a step is given to work with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from mesh import ids
from mesh.caller import Caller
from mesh.errors import CloudError


class Reschedule(Exception):
    """Raised by a step: undo back to and including the step `to`, remember what to exclude, go on from there.

    The fourth time the operation fails with `cause`.
    """

    def __init__(self, to: str, exclude: Mapping[str, Any], cause: CloudError | None = None) -> None:
        super().__init__(f"reschedule to {to}")
        self.to, self.exclude = to, dict(exclude)
        self.cause = cause


# For `Flow.commit`: what begins such work is answered for good, and its steps only go forward.
AT_ONCE = "at once"


async def _unheard(done_bytes: int, total_bytes: int) -> None:
    """Nobody wants to know how far it is."""


@dataclass(frozen=True)
class Step:
    """One effect on one other party, and its undo.

    `do(run)` and `undo(run)` are coroutine functions; with `local` they are plain functions of (connection,
    run) whose SQL commits with the journal's row. `do` answers a small dict (JSON) that later steps find in
    run.outputs, or None; its `note` is shown to callers. It may be called again after a crash, or after a
    failure that may pass (at most `attempts` times); `undo` is called whether or not the effect happened,
    until it succeeds. `deadline` is in seconds, for one attempt. A cancellation cuts an attempt short after
    `grace` seconds: a step that asks somebody who answers soon waits for that, or what it asked for might be
    done after its undo. One that `waits` for others to come takes none of its engine's places meanwhile. A
    step whose `when(run)` is False is passed over, forward and back, and costs no entry of its own: what it
    says follows from the operation's input and what steps before it answered, alone.
    """

    name: str
    do: Callable[..., Any]
    undo: Callable[..., Any] | None = None
    deadline: float = 30.0
    attempts: int = 3
    local: bool = False
    grace: float = 0.0
    when: "Callable[[Run], bool] | None" = None
    waits: bool = False

    def needed(self, run: "Run") -> bool:
        """Whether there is anything to do for this operation."""
        return self.when is None or self.when(run)


@dataclass(frozen=True)
class Flow:
    """A kind of long-running work.

    `deadline` (seconds) holds until the commit point, which is the DONE of the step `commit` (the last by
    default; or AT_ONCE): before it a failure unwinds, after it the flow only goes forward.
    `failed(connection, run, error)` and `finished(connection, run)` commit with the operation's end; where
    the former answers a CloudError, that is what the operation says.
    """

    kind: str
    target_type: str
    steps: tuple[Step, ...]
    deadline: float
    failed: Callable[[Connection, "Run", CloudError], object]
    commit: str = ""
    finished: Callable[[Connection, "Run"], object] | None = None

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"{self.kind}: steps need distinct names, and there must be one")
        if self.commit not in ("", AT_ONCE, *names):
            raise ValueError(f"{self.kind}: there is no step {self.commit}")

    @property
    def commit_position(self) -> int:
        """The position of the step whose DONE is the commit point; -1 where there was none to wait for."""
        if self.commit == AT_ONCE:
            return -1
        names = [step.name for step in self.steps]
        return names.index(self.commit) if self.commit else len(names) - 1

    def position(self, name: str) -> int:
        """The position of a step. Raises ValueError when there is none of that name."""
        return [step.name for step in self.steps].index(name)


@dataclass
class Run:
    """What a step works with.

    `input` is what the flow was submitted with; `outputs` what each step that is done answered, by its name;
    `excluded` what rescheduling has ruled out; `app` whatever the service registered; `epoch` grows with each
    worker that takes the operation over. `round` counts reschedulings.

    A step that moves many bytes says with `tell(done_bytes, total_bytes)` how far it is, 0 for a total
    that is not known. That is a write, which also renews the lease, and ends a worker that has lost it.
    """

    operation_id: str
    target_id: str
    project_id: str
    caller: Caller
    input: dict[str, Any]
    app: Any
    epoch: int
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    excluded: list[dict[str, Any]] = field(default_factory=list)
    round: int = 0
    step: str = ""
    tell: Callable[[int, int], Awaitable[None]] = _unheard

    @property
    def request_id(self) -> str:
        """The request_id of this step's call: the same at each attempt, another after a rescheduling."""
        return self.request_id_for("")

    def request_id_for(self, part: str) -> str:
        """The same, for a step that makes several calls of one kind; `part` tells them apart."""
        return ids.derived(self.operation_id, f"{self.step}/{part}#{self.round}")

    def derived(self, name: str) -> str:
        """The id of the thing `name` made by this operation: the same each time."""
        return ids.derived(self.operation_id, name)
