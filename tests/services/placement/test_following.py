"""The view of candidates, counted up by what this process commits, against what the database says."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mesh import ids
from mesh.database import Database
from mesh.errors import CloudError
from services.placement.follow import Follower
from services.placement.model import Claim, Group, Inventory, Taken
from services.placement.store import allocations, belongings, names, whole
from services.placement.tables import TABLES
from tests.services.harness import until
from tests.services.placement.conftest import Placement
from weft.placement.v1 import allocation_service_pb2 as pb
from weft.placement.v1 import provider_service_pb2 as provider_pb

_HAS = {"VCPU": Inventory.of(8, 0, 0, 0, 0, 1.0)}


class Held(Database):
    """A database whose reads are answered, with what they saw before, when they are let go."""

    gate: asyncio.Event | None = None

    async def read(self, *args: Any, **kw: Any) -> Any:
        """As ever, and then held."""
        found = await super().read(*args, **kw)
        if self.gate is not None:
            self.looked.set()
            await self.gate.wait()
        return found

    def hold(self) -> None:
        """From here on answers wait for the gate; `looked` is set when one does."""
        self.gate, self.looked = asyncio.Event(), asyncio.Event()


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[Held]:
    database = Held.open(f"sqlite:///{tmp_path}/placement.db", TABLES, None)
    await database.write(names.bootstrap)
    yield database
    await database.close()


def claimed(connection: Any, provider_id: str, amount: int) -> list[Taken]:
    """A new consumer has so much of the provider; what was taken."""
    wanted = Claim(ids.new(), "server", ids.new(), ids.new(), ids.new(), 0, {})
    return allocations.claim(connection, wanted, [{provider_id: {"VCPU": amount}}])[1]


async def shown(follower: Follower) -> dict[str, tuple[int, int]]:
    """Generation and use of each provider in the view."""
    found = (await follower.view()).find([Group({})], share=False, exclude=(), limit=100)
    return {each.id: (each.generation, each.used.get("VCPU", 0)) for each in found.providers}


async def so(database: Database) -> dict[str, tuple[int, int]]:
    """The same as the database has it."""
    found = await Database.read(database, whole.load)
    return {each.id: (each.generation, each.used.get("VCPU", 0)) for each in found}


async def test_what_is_committed_while_the_view_is_read_is_neither_lost_nor_counted_twice(held: Held) -> None:
    one, two = ids.new(), ids.new()
    for id in (one, two):
        await held.write(belongings.sync, id, id, "", _HAS, frozenset())
    follower = Follower(held)
    await follower.refresh()
    at_first = await so(held)
    before = await held.write(claimed, one, 1)
    held.hold()
    reading = asyncio.create_task(follower.refresh())
    await held.looked.wait()
    after = [*await held.write(claimed, two, 2), *await held.write(claimed, one, 4)]
    assert await shown(follower) == at_first
    follower.took([*before, *after])
    assert await shown(follower) == await so(held) != at_first
    held.gate.set()
    await reading
    assert await shown(follower) == await so(held), "after the look"
    follower.took([*before, *after])
    assert await shown(follower) == await so(held), "told again"


async def test_after_changes_by_others_the_database_is_read_at_the_next_question(held: Held) -> None:
    host = ids.new()
    await held.write(belongings.sync, host, "host", "", _HAS, frozenset())
    follower = Follower(held)
    await follower.refresh()
    await held.write(claimed, host, 3)
    follower.took(await held.write(claimed, host, 2))
    assert (await shown(follower))[host][1] == 5
    assert await shown(follower) == await so(held)


async def test_the_view_of_each_replica_comes_to_what_all_have_done(replicas: list[Placement]) -> None:
    hosts = [await replicas[0].host(f"host {n}", VCPU=6) for n in range(4)]
    chance, refusals = random.Random(1), set()

    async def busy(world: Placement) -> None:
        for _ in range(8):
            host = chance.choice(hosts)
            try:
                mine = await world.claim({host.id: {"VCPU": chance.randint(1, 3)}})
            except CloudError as error:
                refusals.add(error.reason)
                continue
            if chance.random() < 0.4:
                end = pb.DeleteAllocationsRequest(consumer_id=mine.id)
                await world.service().allocations.DeleteAllocations(end)
            await world.find({"VCPU": 1})

    await asyncio.gather(*(busy(world) for world in (*replicas, *replicas)))
    assert refusals <= {"CAPACITY_EXCEEDED"}
    said = await replicas[0].service().providers.ListProviders(provider_pb.ListProvidersRequest())
    expected = {(each.id, each.generation, each.inventories[0].used) for each in said.providers}
    for world in replicas:

        async def shows_it(world: Placement = world) -> bool:
            found = (await world.find({})).providers
            return {(each.provider_id, each.generation, each.used["VCPU"]) for each in found} == expected

        await until(shows_it)
