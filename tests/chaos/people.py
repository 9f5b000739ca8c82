"""Somebody with a project of their own, who does one thing after another at random."""

import asyncio
import random

from mesh.errors import CloudError
from tests.chaos.calls import DEFECTS, Caller, Unsure
from tests.chaos.deeds.addresses import AddressDeeds
from tests.chaos.deeds.hands import Place
from tests.chaos.deeds.resizes import ResizeDeeds
from tests.chaos.deeds.volumes import VolumeDeeds
from tests.chaos.figures import Figures
from tests.chaos.told import Told


class Person(VolumeDeeds, ResizeDeeds, AddressDeeds):
    """One that lives on the cloud."""

    def __init__(
        self, name: str, caller: Caller, place: Place, told: Told, figures: Figures, rng: random.Random
    ) -> None:
        super().__init__(name, caller, place, told, figures, rng)
        self.deeds = {
            self.boot: 6, self.delete_server: 4, self.power: 4, self.boot_and_delete_at_once: 1,
            self.look_at_server: 1, self.create_volume: 4, self.attach: 5, self.detach: 3,
            self.extend_volume: 1, self.delete_volume: 2, self.look_at_volume: 1, self.create_port: 2,
            self.delete_port: 1, self.create_floating_ip: 2, self.move_floating_ip: 2,
            self.delete_floating_ip: 1, self.rebuild: 1, self.copy: 1, self.import_image: 4,
            self.delete_image: 2, self.look_at_image: 1, self.resize: 2, self.decide: 1, self.reroute: 1,
        }  # fmt: skip
        self.idle = asyncio.Event()

    async def furnish(self) -> None:
        """Begin with a server and a volume, so that there is something to lose."""
        await self.boot()
        await self.create_volume()

    async def live(self, working: asyncio.Event) -> None:
        """Do something again and again while `working` is set, until cancelled."""
        try:
            while True:
                self.idle.set()
                await working.wait()
                self.idle.clear()
                await self.act()
                await asyncio.sleep(self.rng.uniform(0, 0.4))
        finally:
            self.idle.set()  # nobody waits for one who gave up

    async def act(self) -> None:
        """One deed; that it is refused is no trouble."""
        deed = self.rng.choices(list(self.deeds), weights=list(self.deeds.values()))[0]
        try:
            await deed()
        except Unsure:
            self.count(deed.__name__, "nobody answered")
        except CloudError as error:
            self.count(deed.__name__, f"refused {error.reason}")
            if error.reason in DEFECTS:
                self.told.contradiction(
                    f"{self.name} {deed.__name__}: {error.reason} {error.message} {error.fields} "
                    f"(trace {error.trace_id})"
                )
