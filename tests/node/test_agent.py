"""A host and its control plane, over real gRPC with mutual TLS; guests are simulated."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from mesh.certificates import Authority, Identity
from mesh.channel import Peers
from mesh.errors import CloudError
from mesh.server import running
from mesh.settings import Settings, SettingsError, Tracing
from node import inventory
from node.__main__ import LONGEST_STATE, part
from tests.joined import joined
from tests.node.conftest import MIB, on_this_host, spec
from tests.node.control import Control
from tests.node.images import ImageService
from tests.services.harness import until
from weft.compute.v1.host_service_pb2 import GuestState as Reported
from weft.node.v1 import guest_service_pb2 as pb
from weft.node.v1.guest_service_pb2_grpc import GuestServiceStub
from weft.node.v1.image_cache_service_pb2 import StageImageRequest
from weft.node.v1.image_cache_service_pb2_grpc import ImageCacheServiceStub
from weft.node.v1.resources_pb2 import GuestMetadata, GuestState
from weft.node.v1.volume_service_pb2 import CreateVolumeRequest, ListVolumesRequest
from weft.node.v1.volume_service_pb2_grpc import HostVolumeServiceStub


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a short name, since the host makes sockets in it."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def settings(cloud: Settings) -> Settings:
    """A simulated host, and nobody who collects traces."""
    node = structs.replace(cloud.node, hypervisor="simulated", name="one")
    joined(Path(node.state), Authority.open_or_create(cloud.state / "pki"))
    return structs.replace(cloud, node=node, tracing=Tracing(enabled=False))


@pytest.fixture
def control(settings: Settings) -> Control:
    return Control(settings, ImageService())


@asynccontextmanager
async def host(settings: Settings) -> AsyncIterator[str]:
    """The host's agent runs within the block; its id."""
    async with running(settings, [part(settings)]):
        yield inventory.host_id(settings.node)


async def test_a_host_registers_and_gives_signs_of_life(settings: Settings, control: Control) -> None:
    async with control.running(), host(settings) as host_id:

        async def alive() -> bool:
            return control.compute.beats >= 2 and host_id in control.block.pools

        await until(alive)
        known, pool = control.compute.hosts[host_id], control.block.pools[host_id]
        assert (known.name, known.hypervisor, known.epoch) == ("one", "simulated", 1)
        assert known.address == pool.host_address == settings.node.address
        assert known.vcpus > 0
        assert known.memory_mib > 0
        assert known.disk_gib > 0
        assert pool.capacity_bytes > 0


async def test_a_host_is_the_same_after_a_restart_with_a_later_epoch(
    settings: Settings, control: Control
) -> None:
    async with control.running():
        ids = set()
        for epoch in (1, 2):
            async with host(settings) as host_id:
                ids.add(host_id)

                async def registered(host_id: str = host_id, epoch: int = epoch) -> bool:
                    return control.compute.epochs[host_id] == epoch

                await until(registered)
        assert len(ids) == 1


async def test_a_host_waits_for_control_and_comes_back_to_it(settings: Settings, control: Control) -> None:
    async with host(settings) as host_id:
        await asyncio.sleep(0.3)
        for times in (1, 2):
            async with control.running():

                async def registered(times: int = times) -> bool:
                    return control.compute.epochs[host_id] == times

                await until(registered)
                control.compute.hosts.clear()  # as if its database had been lost


async def test_a_host_whose_id_another_took_is_cut_off(settings: Settings, control: Control) -> None:
    async with control.running(), host(settings) as host_id:

        async def alive() -> bool:
            return control.compute.beats > 0

        await until(alive)
        control.compute.epochs[host_id] += 1
        await asyncio.sleep(0.5)
        heard = control.compute.beats
        await asyncio.sleep(0.5)
        assert control.compute.beats == heard
        assert control.compute.epochs[host_id] == 2  # it did not take the id back


async def test_an_agent_that_is_refused_does_nothing_as_the_host_until_it_is_taken_in(
    settings: Settings, control: Control
) -> None:
    control.compute.refusal = "its disk is of epoch 1, and the host has been at 3 since"
    async with control.running(), host(settings) as host_id:
        guests = control.stub(GuestServiceStub, host_id)

        async def refused() -> bool:
            return control.compute.refused > 0

        await until(refused)
        with pytest.raises(CloudError) as shut:
            await guests.ListGuests(pb.ListGuestsRequest())
        assert (shut.value.reason, "epoch 1" in shut.value.message) == ("HOST_UNAVAILABLE", True)
        assert (control.compute.complete, control.block.pools, control.network.watched) == ([], {}, 0)
        control.compute.refusal = ""

        async def taken_in() -> bool:
            said = control.compute.beats > 0 and host_id in control.block.pools
            return said and control.network.watched > 0

        await until(taken_in, 30)
        assert list((await guests.ListGuests(pb.ListGuestsRequest())).guests) == []


async def test_an_agent_says_which_epoch_its_disk_remembers_and_where_it_is(
    settings: Settings, control: Control
) -> None:
    async with control.running():
        for epoch in (1, 2):
            async with host(settings) as host_id:

                async def registered(host_id: str = host_id, epoch: int = epoch) -> bool:
                    return control.compute.epochs[host_id] == epoch and control.compute.beats > 0

                await until(registered)
    assert [last for last, _ in control.compute.said] == [0, 1]
    assert len({place for _, place in control.compute.said}) == 1


async def test_a_guest_lives_and_each_change_is_reported(settings: Settings, control: Control) -> None:
    async with control.running(), host(settings) as host_id:
        guests, guest = control.stub(GuestServiceStub, host_id), spec()
        defined = await guests.DefineGuest(pb.DefineGuestRequest(guest=guest))
        assert defined.state == GuestState.GUEST_STATE_SHUTOFF
        await guests.StartGuest(pb.StartGuestRequest(server_id=guest.server_id))

        async def told(state: int) -> bool:
            return control.compute.state(guest.server_id) == state

        await until(lambda: told(Reported.GUEST_STATE_RUNNING))
        await guests.StopGuest(pb.StopGuestRequest(server_id=guest.server_id))
        await until(lambda: told(Reported.GUEST_STATE_SHUTOFF))
        listed = await guests.ListGuests(pb.ListGuestsRequest())
        assert [each.server_id for each in listed.guests] == [guest.server_id]
        console = await guests.GetConsole(pb.GetConsoleRequest(server_id=guest.server_id, offset=-1))
        assert console.size_bytes == 0
        renamed = GuestMetadata(hostname="two", name="two")
        await guests.UpdateMetadata(pb.UpdateMetadataRequest(server_id=guest.server_id, metadata=renamed))
        await guests.DeleteGuest(pb.DeleteGuestRequest(server_id=guest.server_id))
        await until(lambda: told(Reported.GUEST_STATE_GONE))
        with pytest.raises(CloudError) as missing:
            await guests.GetGuest(pb.GetGuestRequest(server_id=guest.server_id))
        assert missing.value.reason == "NOT_FOUND"


async def test_control_that_was_away_is_told_of_every_guest(settings: Settings, control: Control) -> None:
    async with host(settings) as host_id:
        guest = spec()
        async with control.running():
            guests = control.stub(GuestServiceStub, host_id)
            await guests.DefineGuest(pb.DefineGuestRequest(guest=guest))
            await guests.StartGuest(pb.StartGuestRequest(server_id=guest.server_id))
        control.compute.guests.clear()
        control.compute.hosts.clear()
        control.compute.complete.clear()
        async with control.running():

            async def told() -> bool:
                return guest.server_id in control.compute.guests and bool(control.compute.complete)

            await until(told)
            assert control.compute.state(guest.server_id) == Reported.GUEST_STATE_RUNNING


async def test_volumes_come_and_go(settings: Settings, control: Control) -> None:
    async with control.running(), host(settings) as host_id:
        volumes, guests = (control.stub(s, host_id) for s in (HostVolumeServiceStub, GuestServiceStub))
        made = await volumes.CreateVolume(
            CreateVolumeRequest(volume_id=str(uuid.uuid4()), size_bytes=MIB, operation_id=str(uuid.uuid4()))
        )
        guest = spec()
        await guests.DefineGuest(pb.DefineGuestRequest(guest=guest))
        volume = on_this_host(made.volume_id)
        attached = await guests.AttachVolume(pb.AttachVolumeRequest(server_id=guest.server_id, volume=volume))
        assert attached.device == "vda"
        detach = pb.DetachVolumeRequest(server_id=guest.server_id, attachment_id=volume.attachment_id)
        await guests.DetachVolume(detach)
        assert (await volumes.ListVolumes(ListVolumesRequest())).volumes == [made]
        image = StageImageRequest(image_id=str(uuid.uuid4()), sha256="0" * 64, size_bytes=1, format="raw")
        assert (await control.stub(ImageCacheServiceStub, host_id).StageImage(image)).cached


@pytest.mark.parametrize("identity", [Identity.gateway(), Identity.node(str(uuid.uuid4()))], ids=str)
async def test_only_services_may_call_a_host(
    settings: Settings, control: Control, authority: Authority, identity: Identity
) -> None:
    async with control.running(), host(settings) as host_id:
        await control.stub(GuestServiceStub, host_id).ListGuests(pb.ListGuestsRequest())
        stranger = Peers(settings, authority.issue(identity))
        stub = stranger.node_stub(GuestServiceStub, host_id, settings.node.address)
        with pytest.raises(CloudError) as refused:
            await stub.ListGuests(pb.ListGuestsRequest())
        assert refused.value.reason in ("UNAUTHENTICATED", "AUDIENCE_REFUSED")
        await stranger.close()


def test_a_state_that_is_too_deep_for_sockets_is_refused(settings: Settings, tmp_path: Path) -> None:
    deep = structs.replace(settings.node, state=str(tmp_path / ("x" * LONGEST_STATE)))
    with pytest.raises(SettingsError, match="at most"):
        part(structs.replace(settings, node=deep))
    part(settings)
