"""What all deeds have in common: a request is sent until it is answered, and what was told is remembered."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mesh import ids
from mesh.errors import CloudError
from tests.chaos.calls import DEFECTS, Caller, Unsure
from tests.chaos.figures import Figures
from tests.chaos.told import Presence, Thing, Told
from weft.operation.v1.operation_pb2 import CancelOperationRequest, OperationState

# So many of a kind one person has at most.
_MOST = {"server": 4, "volume": 4, "port": 3, "floating_ip": 3, "image": 3}
# A request that nobody answered may still be on its way in a paused process or a cut cable for so long.
LATE_SECONDS = 90.0


@dataclass(frozen=True)
class Place:
    """What a person finds ready: a network with a router to the outside, an image, two flavors of which the
    first is the smaller; `web` is the address of somebody's web server.
    """

    project_id: str
    network_id: str
    external_id: str
    image_id: str
    flavors: tuple[str, str]
    web: str


class Hands:
    """One person's own; `name` begins the names of all their things."""

    def __init__(
        self, name: str, caller: Caller, place: Place, told: Told, figures: Figures, rng: random.Random
    ) -> None:
        self.name, self.caller, self.place = name, caller, place
        self.told, self.figures, self.rng = told, figures, rng
        self.things: list[Thing] = []

    def stub(self, stub_class: type[Any]) -> Any:
        """A stub of a service, through the gateway."""
        return self.caller.client.stub(stub_class)

    async def mutate(self, method: Any, request: Any) -> Any:
        """Ask until there is an answer, or once only, or three times at the same time, for one answer."""
        chance = self.rng.random()
        if chance < 0.05:
            return await self.caller.once(method, request)
        if chance > 0.15:
            return await self.caller.insist(method, request)
        self.figures.replays += 2
        asked = [self.caller.insist(method, request) for _ in range(3)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        found = [answer for answer in answers if not isinstance(answer, BaseException)]
        if not found:
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        seen = {(getattr(a, "id", ""), getattr(a, "operation_id", "")) for a in found}
        if len(seen) > 1:
            self.told.contradiction(f"{self.name}: one request was answered in several ways: {sorted(seen)}")
        return found[0]

    async def make(self, thing: Thing, method: Any, request: Any) -> Any:
        """Ask for a new thing: it is there once its id is told, and refused it is not."""
        try:
            made = await self.mutate(method, request)
        except CloudError:
            thing.presence = Presence.GONE
            raise
        thing.id, thing.presence = made.id, Presence.THERE
        return made

    async def remove(self, thing: Thing, method: Any, request: Callable[..., Any]) -> None:
        """Delete what goes at once."""
        before, thing.presence = thing.presence, Presence.MAYBE
        try:
            await self.mutate(method, request(id=thing.id, request_id=ids.new(), allow_missing=True))
        except CloudError:
            thing.presence = before
            raise
        thing.presence = Presence.GONE

    async def cancel(self, operations: Any, operation_id: str) -> bool:
        """Cancel an operation after a while; whether that was taken."""
        await asyncio.sleep(self.rng.uniform(0, 2))
        try:
            await self.caller.insist(operations.CancelOperation, CancelOperationRequest(id=operation_id))
        except Unsure:
            return False
        except CloudError as error:
            if error.reason != "WRONG_STATUS":  # it was past its commit point, or over
                raise
            return False
        return True

    async def ended(self, operations: Any, what: str, operation_id: str) -> str:
        """How the operation ended: SUCCEEDED, FAILED or CANCELLED; "" when it has not in time."""
        operation = await self.caller.ended(operations, operation_id)
        if operation is None:
            self.count(what, "not over in time")
            return ""
        how = OperationState.Name(operation.state).removeprefix("OPERATION_STATE_")
        self.count(what, f"{how} {operation.error.reason}".strip())
        if operation.error.reason in DEFECTS:
            self.told.contradiction(f"{self.name} {what} {operation_id} {how}: {operation.error}")
        return how

    def new(self, kind: str) -> Thing | None:
        """A thing that is about to be asked for; None where there are enough."""
        alive = [t for t in self.things if t.kind == kind and t.id and t.presence is not Presence.GONE]
        if len(alive) >= _MOST[kind]:
            return None
        thing = self.told.asked(kind, f"{self.name}-{kind}-{len(self.things)}", self.place.project_id)
        self.things.append(thing)
        return thing

    def pick(self, kind: str, *statuses: str) -> Thing | None:
        """One that is known to be there, in one of these statuses where any are given."""
        known = [t for t in self.things if t.kind == kind and t.usable]
        fit = [t for t in known if not statuses or t.status in statuses]
        return self.rng.choice(fit) if fit else None

    def pick_to_delete(self, kind: str, *statuses: str) -> Thing | None:
        """The same, or one of which nobody said whether it is gone."""
        unsure = [t for t in self.things if t.kind == kind and t.id and t.presence is Presence.MAYBE]
        found = self.pick(kind, *statuses)
        return self.rng.choice([*unsure, *([found] if found else [])]) if unsure or found else None

    def pick_unsure(self, kind: str) -> Thing | None:
        """One whose status nobody knows, for so long that what was under way on it has arrived."""
        before = time.monotonic() - LATE_SECONDS
        fit = [t for t in self.things if t.kind == kind and t.usable and not t.status and t.since < before]
        return self.rng.choice(fit) if fit else None

    def free_ports(self) -> list[Thing]:
        """Ports of our own that no server has or may have."""
        used = {t.port_id for t in self.things if t.kind == "server" and t.presence is not Presence.GONE}
        return [t for t in self.things if t.kind == "port" and t.usable and t.id not in used]

    def count(self, what: str, how: str) -> None:
        """One more for the figures."""
        self.figures.operations[what, how] += 1
