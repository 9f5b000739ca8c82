"""Does to the cloud what the schedule says, mends it, and measures how long it takes to be well."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import psycopg

from node.guest.libvirtd import Libvirtd
from tests.chaos import wellness
from tests.chaos.books import OPERATED
from tests.chaos.cloud import REPLICAS, ChaosCloud
from tests.chaos.figures import Figures
from tests.chaos.parts import child_of
from tests.chaos.schedule import Fault

# What is not well so long after it was mended never will be.
PATIENCE = 120.0
_LOOK_SECONDS = 0.2
# What makes others take longer than they need to take over: they are hit themselves, or what they stand on.
_TAKERS = frozenset({*REPLICAS, "postgresql"})
_HELD = " UNION ALL ".join(
    f"""SELECT '{service}' AS service, id, owner FROM {service}.operations
        WHERE state IN ('PENDING', 'RUNNING', 'UNWINDING') AND owner LIKE ANY(%(owners)s)"""
    for service in OPERATED
)


class Monkey:
    """`say` is told of each fault; `troubles` are parts that did not come back."""

    def __init__(self, cloud: ChaosCloud, figures: Figures, say: Callable[[str], None]) -> None:
        self._cloud, self._figures, self._say = cloud, figures, say
        self._busy: set[str] = set()
        self._hits: Counter[str] = Counter()
        self._measuring: set[asyncio.Task[None]] = set()
        self.troubles: list[str] = []

    async def befall(self, fault: Fault) -> None:
        """The fault, from its beginning until it is mended. Nothing where its target is already hit."""
        if fault.target in self._busy:
            return
        self._busy.add(fault.target)
        self._hits[fault.target] += 1
        self._figures.faults[" ".join(filter(None, (fault.kind, fault.how)))] += 1
        self._say(str(fault))
        try:
            await getattr(self, f"_{fault.kind}")(fault)
        finally:
            self._busy.discard(fault.target)
        self._measure(self._recovery(fault))

    async def calm(self) -> None:
        """Wait until all that was hit is well again."""
        await asyncio.gather(*self._measuring)

    async def _kill(self, fault: Fault) -> None:
        part = self._cloud.parts[fault.target]
        await self._watch_takeover(fault, part.family)
        part.kill()
        await asyncio.sleep(fault.lasts)
        part.start()

    async def _pause(self, fault: Fault) -> None:
        part = self._cloud.parts[fault.target]
        part.pause()
        await asyncio.sleep(fault.lasts)
        part.resume()

    async def _end(self, fault: Fault) -> None:
        part = self._cloud.parts[fault.target]
        if not await part.end():
            self.troubles.append(f"{fault.target} did not end when told to, at {fault.at:.1f} s")
        await asyncio.sleep(fault.lasts)
        part.start()

    async def _cut(self, fault: Fault) -> None:
        cable = self._cloud.cables[fault.target]
        cable.cut(fault.how)
        await asyncio.sleep(fault.lasts)
        cable.mend()

    async def _database(self, fault: Fault) -> None:
        await asyncio.to_thread(self._cloud.database.stop, fault.how)
        await asyncio.sleep(fault.lasts)
        await asyncio.to_thread(self._cloud.database.start)

    async def _envoy(self, fault: Fault) -> None:
        """Envoy dies under its gateway, which begins it again."""
        envoy = child_of(self._cloud.parts["gateway"].pid, "envoy")
        with suppress(ProcessLookupError):
            if envoy:
                os.kill(envoy, signal.SIGKILL)

    async def _libvirtd(self, fault: Fault) -> None:
        """libvirtd dies; its host's agent begins it again."""
        pid = Libvirtd(self._cloud.state / fault.target / "libvirt", "").pid
        with suppress(ProcessLookupError):
            if pid:
                os.kill(pid, signal.SIGKILL)

    def _measure(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._measuring.add(task)
        task.add_done_callback(self._measuring.discard)

    async def _recovery(self, fault: Fault) -> None:
        """Measured until it is well or hit again; it is trouble where nothing else was wrong for so long."""
        hits = self._hits[fault.target]
        began = quiet = time.monotonic()
        since = datetime.now(UTC)
        while not await wellness.is_well(self._cloud, fault.target, since):
            if self._hits[fault.target] != hits:
                return
            quiet = time.monotonic() if self._busy else quiet
            if time.monotonic() - quiet > PATIENCE:
                self.troubles.append(f"{fault.target} is not well {PATIENCE:g} s after: {fault}")
                return
            await asyncio.sleep(_LOOK_SECONDS)
        took = time.monotonic() - began
        self._figures.recoveries[f"{fault.kind} of {self._what(fault.target)}"].append(took)

    def _what(self, target: str) -> str:
        """What kind of part it is."""
        if target in self._cloud.hosts:
            return "a host"
        return "a replica" if target in REPLICAS else f"the {target}"

    async def _watch_takeover(self, fault: Fault, pids: list[int]) -> None:
        """Measure how long it is until others have what this replica works on."""
        if fault.target not in REPLICAS or self._busy & _TAKERS - {fault.target}:
            return
        owners = [f"%/{pid}/%" for pid in pids]
        try:
            held = await wellness.select(self._cloud, _HELD, owners=owners)
        except psycopg.OperationalError:
            return
        for row in held:
            self._measure(self._takeover(row, time.monotonic(), fault.target))

    async def _takeover(self, row: dict[str, str], began: float, target: str) -> None:
        """Counted where nothing else that takeover needs was hit meanwhile."""
        query = f"SELECT owner, state FROM {row['service']}.operations WHERE id = %(id)s"
        while time.monotonic() - began < PATIENCE and not self._busy & _TAKERS - {target}:
            try:
                (now,) = await wellness.select(self._cloud, query, id=row["id"])
            except psycopg.OperationalError:
                return
            if now["owner"] != row["owner"]:
                self._figures.takeovers.append(time.monotonic() - began)
                return
            if now["state"] not in ("PENDING", "RUNNING", "UNWINDING"):
                return  # it was over just before the replica died
            await asyncio.sleep(0.1)
