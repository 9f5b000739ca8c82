"""One run: people live on a cloud while the monkey is about; now and then all hold still and are counted."""

import asyncio
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from tests.chaos import books, rules, schedule, settle
from tests.chaos.cloud import ChaosCloud
from tests.chaos.figures import Figures
from tests.chaos.landlord import Landlord
from tests.chaos.monkey import Monkey
from tests.chaos.people import Person
from tests.chaos.schedule import Fault
from tests.chaos.told import Told
from tests.chaos.web import Web

# Seconds of trouble between two calm points.
STRETCH = 300.0
# A calm point is reached when everybody is idle and every operation over: it takes its time after a long cut.
_IDLE_SECONDS = 420.0
# Sweeps that heal come round once a minute, and the slowest each five; ports wait for their grace besides.
_SETTLE_SECONDS = 90.0
_SAID_SECONDS = 8.0
_SLOWEST_SWEEP_SECONDS = 960.0
Lives = Sequence[Person | Landlord]


class Run:
    """`whole` answers what is broken, in sentences."""

    def __init__(
        self, state: Path, seed: int, seconds: float, simulated: int, real: int, people: int, image: Path
    ) -> None:
        self.cloud = ChaosCloud(state, simulated, real)
        self.figures, self.told = Figures(), Told()
        self._seed, self._seconds, self._people, self._image = seed, seconds, people, image
        self._faults = schedule.faults(seed, seconds, self.cloud.hosts, self.cloud.real)
        self._monkey = Monkey(self.cloud, self.figures, self._say)
        self._web = Web(seed)
        self._working = asyncio.Event()
        self._began = time.monotonic()

    async def whole(self) -> list[str]:
        """From an empty directory to the last count."""
        for fault in self._faults:
            print(f"  {fault}")
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            await self.cloud.start()
            web = await self._web.start()
            found: list[Person | Landlord] = await settle.people(
                self.cloud, self._people, self._image, web, self.told, self.figures, self._seed
            )
            landlord = Landlord(self.cloud, self.told, self.figures, self._seed)
            await landlord.move_in(found[0].place, self._image)
            found.append(landlord)
            await asyncio.gather(*(person.furnish() for person in found))
            self._say("people have moved in")
            lives = [asyncio.create_task(person.live(self._working)) for person in found]
            broken = await self._stretches(found)
            broken += [f"a person gave up: {life.exception()!r}" for life in lives if life.done()]
            for life in lives:
                life.cancel()
            for person in found:
                await person.caller.client.close()
        finally:
            await self.cloud.stop()
            await self._web.stop()
        self.figures.restarts = len(self.cloud.restarts)
        return [*broken, *self._monkey.troubles]

    async def _stretches(self, people: Lives) -> list[str]:
        """Trouble and calm in turn, until the time is over or something is broken."""
        begin = 0.0
        while begin < self._seconds:
            end = min(begin + STRETCH, self._seconds)
            await self._trouble([fault for fault in self._faults if begin <= fault.at < end], begin, end)
            begin = end
            last = end >= self._seconds
            broken = await self._calm(people, last=last)
            if broken or self._monkey.troubles:
                return broken
        return []

    async def _trouble(self, faults: list[Fault], begin: float, end: float) -> None:
        self._working.set()
        began = time.monotonic()

        async def at(moment: float) -> None:
            await asyncio.sleep(max(0.0, moment - begin - (time.monotonic() - began)))

        tasks = []
        for fault in faults:
            await at(fault.at)
            tasks.append(asyncio.create_task(self._monkey.befall(fault)))
        await at(end)
        await asyncio.gather(*tasks)

    async def _calm(self, people: Lives, *, last: bool) -> list[str]:
        """Everybody stops, everything is mended, and soon nothing is broken; else what is."""
        self._working.clear()
        self._say("calm: all is mended, and everybody finishes what they are at")
        await self._monkey.calm()
        async with asyncio.timeout(_IDLE_SECONDS):
            await asyncio.gather(*(person.idle.wait() for person in people))
        self._say("everybody is idle")
        began, said = time.monotonic(), False
        patience = _SLOWEST_SWEEP_SECONDS if last else _SETTLE_SECONDS
        while True:
            broken = await self._broken(rules.LAST_RULES if last else rules.RULES)
            took = time.monotonic() - began
            if len(broken) == len(self.told.contradictions) or took > patience:
                break  # nothing is broken, or nothing that time could mend
            if took > _SAID_SECONDS and not said:
                said = True
                self._say("not yet:\n  " + "\n  ".join(broken))
            await asyncio.sleep(1)
        self.figures.calms += 1
        self._say(f"counted after {took:.0f} s: {len(broken)} broken")
        return broken

    async def _broken(self, among: tuple[rules.Rule, ...]) -> list[str]:
        try:
            return rules.broken(await books.read(self.cloud), self.told, among)
        except psycopg.OperationalError as error:
            return [f"the database does not answer: {error}"]

    def _say(self, sentence: str) -> None:
        print(f"[{time.monotonic() - self._began:7.1f}] {sentence}", flush=True)
