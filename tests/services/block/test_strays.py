"""Attachments and exports that nobody has: taken back where that is certain, told where it is not."""

from datetime import timedelta

import pytest

from mesh import clock, ids
from mesh.warnings import Finding
from services.block.attaching import Attaching
from services.block.drivers import drivers
from services.block.flows.app import App
from services.block.model import GRACE
from services.block.sources import Elsewhere
from services.block.strays import Strays
from tests.services.block.conftest import Block, Cloud
from tests.services.block.fakes import failing
from weft.block.v1 import resources_pb2 as pb
from weft.compute.v1.host_service_pb2 import AttachmentHolder
from weft.compute.v1.resources_pb2 import Server

AFTER = GRACE + timedelta(minutes=1)


class Told:
    """Where sweeps tell: the latest of each topic."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Finding]] = {}

    async def tell(self, topic: str, findings: list[Finding]) -> None:
        self.topics[topic] = list(findings)

    @property
    def kinds(self) -> list[str]:
        return [finding.kind for found in self.topics.values() for finding in found]


class Upkeep:
    """The sweeps of a running block, at a later time."""

    def __init__(self, world: Cloud) -> None:
        runtime = world.house.runtimes["block"]
        app = App(runtime.database, drivers(runtime.peers))
        self.told = Told()
        self._strays = Strays(app, Attaching(app), Elsewhere(runtime.peers), self.told)
        self._world = world

    async def attachments(self, after: timedelta = AFTER) -> None:
        later = clock.now() + after
        with clock.told_by(lambda: later):
            await self._strays.attachments()

    async def exports(self, after: timedelta = AFTER) -> None:
        later = clock.now() + after
        with clock.told_by(lambda: later):
            for host in self._world.hosts:
                await self._world.register(host)  # a pool that is not reported is not looked at
            await self._strays.exports()


@pytest.fixture
def upkeep(world: Cloud) -> Upkeep:
    return Upkeep(world)


async def attached(world: Cloud, mine: Block, compute: Block) -> pb.Attachment:
    """A volume of the first host, attached on the second."""
    here, there = world.hosts
    volume = await mine.make(1, near_host_id=here.id)
    return await compute.attach(volume.id, there.id)


def holder(attachment: pb.Attachment, *, listed: bool) -> AttachmentHolder:
    return AttachmentHolder(attachment_id=attachment.id, server_id=attachment.server_id, listed=listed)


async def test_an_attachment_that_nobody_has_is_released_once_it_is_old(
    world: Cloud, mine: Block, compute: Block, upkeep: Upkeep
) -> None:
    attachment = await attached(world, mine, compute)
    await upkeep.attachments(GRACE - timedelta(minutes=1))
    assert (await mine.get(attachment.volume_id)).status == pb.VOLUME_STATUS_IN_USE
    await upkeep.attachments()
    assert (await mine.get(attachment.volume_id)).status == pb.VOLUME_STATUS_AVAILABLE
    assert world.hosts[0].fake.exports == {}
    assert upkeep.told.kinds == []


@pytest.mark.parametrize(("listed", "told"), [(True, []), (False, ["STALE_ATTACHMENT"])])
async def test_an_attachment_that_a_server_or_a_guest_has_stays(
    world: Cloud, mine: Block, compute: Block, upkeep: Upkeep, listed: bool, told: list[str]
) -> None:
    attachment = await attached(world, mine, compute)
    world.servers.holders[attachment.id] = holder(attachment, listed=listed)
    await upkeep.attachments()
    assert (await mine.get(attachment.volume_id)).status == pb.VOLUME_STATUS_IN_USE
    assert upkeep.told.kinds == told


async def test_while_a_host_is_silent_nothing_is_released_and_what_is_nobodys_is_told(
    world: Cloud, mine: Block, compute: Block, upkeep: Upkeep
) -> None:
    theirs, nobodys = [await attached(world, mine, compute) for _ in range(2)]
    world.servers.servers[theirs.server_id] = Server(id=theirs.server_id)
    world.servers.silent = "The host does not answer."
    await upkeep.attachments()
    assert {(await mine.get(a.volume_id)).status for a in (theirs, nobodys)} == {pb.VOLUME_STATUS_IN_USE}
    assert [f.resource_id for f in upkeep.told.topics["attachments"]] == [nobodys.volume_id]
    world.servers.silent = ""
    world.servers.holders[theirs.id] = holder(theirs, listed=True)
    await upkeep.attachments()
    assert (await mine.get(nobodys.volume_id)).status == pb.VOLUME_STATUS_AVAILABLE
    assert upkeep.told.kinds == []


async def test_an_export_without_an_attachment_is_ended_once_it_is_old(
    world: Cloud, mine: Block, compute: Block, upkeep: Upkeep
) -> None:
    attachment = await attached(world, mine, compute)
    here = world.hosts[0]
    here.fake.exports[ids.new()] = attachment.volume_id
    await upkeep.exports(GRACE - timedelta(minutes=1))
    assert len(here.fake.exports) == 2
    await upkeep.exports()
    assert here.fake.exports == {attachment.id: attachment.volume_id}
    assert upkeep.told.kinds == []


async def test_an_export_that_a_guest_uses_or_may_use_stays_and_is_told(
    world: Cloud, mine: Block, compute: Block, upkeep: Upkeep
) -> None:
    attachment = await attached(world, mine, compute)
    here, stray = world.hosts[0], ids.new()
    here.fake.exports[stray] = attachment.volume_id
    world.servers.holders[stray] = AttachmentHolder(attachment_id=stray, server_id=ids.new())
    await upkeep.exports()
    assert stray in here.fake.exports
    assert upkeep.told.kinds == ["UNKNOWN_EXPORT"]
    world.servers.holders.clear()
    world.servers.silent = "The host does not answer."
    await upkeep.exports()
    assert stray in here.fake.exports
    assert upkeep.told.topics["exports"][0].message.endswith("The host does not answer.")


async def test_a_host_in_trouble_does_not_keep_the_sweep_from_others(
    world: Cloud, mine: Block, compute: Block, upkeep: Upkeep
) -> None:
    here, there = world.hosts
    volumes = [await mine.make(1, near_host_id=host.id) for host in (here, there)]
    for host, volume in zip(world.hosts, volumes, strict=True):
        host.fake.exports[ids.new()] = volume.id
    here.fake.before["ListVolumes"] = failing("INTERNAL")
    await upkeep.exports()
    assert (len(here.fake.exports), len(there.fake.exports)) == (1, 0)
