"""A real guest under QEMU on a real host agent: one of it, in the order of its life."""

import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration

from mesh.errors import CloudError
from node import inventory
from tests.node.conftest import MIB, on_this_host, spec
from tests.node.control import Control
from tests.node.images import ImageService
from tests.node.machine import Machine, tiny_image
from tests.services.harness import until
from weft.block.v1.resources_pb2 import Connection
from weft.compute.v1.host_service_pb2 import GuestState as Reported
from weft.network.v1.host_state_pb2 import HostNetwork, HostPort, HostState, HostSubnet
from weft.network.v1.resources_pb2 import FixedIp, NetworkType
from weft.node.v1 import guest_service_pb2 as pb
from weft.node.v1 import volume_service_pb2 as volume_pb
from weft.node.v1.guest_service_pb2_grpc import GuestServiceStub
from weft.node.v1.image_cache_service_pb2 import StageImageRequest
from weft.node.v1.image_cache_service_pb2_grpc import ImageCacheServiceStub
from weft.node.v1.resources_pb2 import (
    GuestAddress,
    GuestMetadata,
    GuestPort,
    GuestSpec,
    GuestState,
    GuestVolume,
    RootDisk,
)
from weft.node.v1.volume_service_pb2_grpc import HostVolumeServiceStub

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]
RUNNING, OFF = GuestState.GUEST_STATE_RUNNING, GuestState.GUEST_STATE_SHUTOFF
# Says what becomes of the second disk, and writes to each that appears.
WATCH_DISKS = b"""#!/bin/sh
echo "user data runs"
before=gone
(while sleep 0.3; do
    size=$(cat /sys/block/vdb/size 2>/dev/null || echo gone)
    [ "$size" = "$before" ] && continue
    [ "$size" = gone ] || { echo "weft was here" | dd of=/dev/vdb conv=fsync 2>/dev/null; }
    before=$size
    echo "disk vdb is $size" >/dev/console
done) &
"""


class Lab:
    """A host, its control plane, and the one guest that most tests are about."""

    def __init__(self, machine: Machine, control: Control) -> None:
        self.machine, self.control = machine, control
        self.host_id = inventory.host_id(machine.settings.node)
        self.guest = GuestSpec()

    @property
    def guests(self) -> Any:
        return self.control.stub(GuestServiceStub, self.host_id)

    @property
    def volumes(self) -> Any:
        return self.control.stub(HostVolumeServiceStub, self.host_id)

    async def registered(self, epoch: int) -> None:
        async def so() -> bool:
            return self.control.compute.epochs[self.host_id] == epoch

        await until(so, 60)

    async def answers(self) -> None:
        """Wait until the agent takes calls: after a restart, connections are tried only now and then."""

        async def so() -> bool:
            try:
                await self.guests.ListGuests(pb.ListGuestsRequest())
            except CloudError:
                return False
            return True

        await until(so, 30)

    async def told(self, state: int, server_id: str = "") -> None:
        async def so() -> bool:
            return self.control.compute.state(server_id or self.guest.server_id) == state

        await until(so, 60)

    async def root(self) -> RootDisk:
        """The small image, staged on the host."""
        wanted = self.control.images._images.add(tiny_image(), "qcow2")
        staged = await self.control.stub(ImageCacheServiceStub, self.host_id).StageImage(
            StageImageRequest(
                image_id=wanted.image_id, sha256=wanted.sha256, size_bytes=wanted.size_bytes, format="qcow2"
            )
        )
        return RootDisk(
            image_sha256=wanted.sha256, size_bytes=staged.virtual_size_bytes, image_format="qcow2"
        )

    async def volume(self, **source: Any) -> str:
        request = volume_pb.CreateVolumeRequest(
            volume_id=str(uuid.uuid4()), size_bytes=64 * MIB, operation_id=str(uuid.uuid4()), **source
        )
        return (await self.volumes.CreateVolume(request)).volume_id

    def content(self, folder: str, id: str) -> bytes:
        return (self.machine.state / folder / f"{id}.raw").read_bytes()[:14]

    async def attach(self, volume: GuestVolume) -> GuestVolume:
        return await self.guests.AttachVolume(
            pb.AttachVolumeRequest(server_id=self.guest.server_id, volume=volume)
        )

    async def detach(self, volume: GuestVolume) -> None:
        await self.guests.DetachVolume(
            pb.DetachVolumeRequest(server_id=self.guest.server_id, attachment_id=volume.attachment_id)
        )

    async def state(self) -> int:
        return (await self.guests.GetGuest(pb.GetGuestRequest(server_id=self.guest.server_id))).state


def network_of(port: GuestPort, server_id: str) -> HostState:
    """A tenant network with DHCP, and the guest's port on it."""
    subnet = HostSubnet(
        id=str(uuid.uuid4()), cidr="10.77.0.0/24", dhcp_enabled=True, dhcp_address="10.77.0.2"
    )
    network = HostNetwork(
        id=port.network_id,
        type=NetworkType.NETWORK_TYPE_VXLAN,
        segmentation_id=77,
        mtu=1450,
        admin_state_up=True,
        subnets=[subnet],
    )
    wanted = HostPort(
        id=port.port_id,
        network_id=port.network_id,
        server_id=server_id,
        mac_address=port.mac_address,
        fixed_ips=[FixedIp(subnet_id=subnet.id, ip_address="10.77.0.5")],
        admin_state_up=True,
        revision=1,
    )
    return HostState(revision=2, complete=True, networks=[network], ports=[wanted])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    machine = Machine()
    try:
        control = Control(machine.settings, ImageService())
        async with control.running():
            machine.start()
            lab = Lab(machine, control)
            await lab.registered(1)
            yield lab
            control.network.change(HostState(revision=9, complete=True))

            async def unwired() -> bool:
                return all(state != 1 for state in control.network.wired.values())

            await until(unwired, 20)
            machine.end()
    finally:
        machine.close()


async def test_it_boots_and_learns_address_name_key_and_user_data(lab: Lab) -> None:
    port = GuestPort(
        port_id=str(uuid.uuid4()),
        network_id=str(uuid.uuid4()),
        mac_address="fa:16:3e:77:00:05",
        mtu=1450,
        addresses=[GuestAddress(address="10.77.0.5/24")],
    )
    told = GuestMetadata(
        hostname="loom",
        name="loom",
        public_keys={
            "ada": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMadeUpKeyThatOpensNothingAtAll000000000 ada"
        },
        user_data=WATCH_DISKS,
    )
    lab.guest = spec(await lab.root(), ports=[port], metadata=told)
    defined = await lab.guests.DefineGuest(pb.DefineGuestRequest(guest=lab.guest), timeout=60)
    assert (defined.state, defined.hypervisor) == (OFF, "tcg")
    lab.control.network.change(network_of(port, lab.guest.server_id))
    started = await lab.guests.StartGuest(pb.StartGuestRequest(server_id=lab.guest.server_id), timeout=60)
    assert started.state == RUNNING
    await lab.told(Reported.GUEST_STATE_RUNNING)
    said = await lab.machine.says(lab.guest.server_id, "READY")
    assert f"READY instance={lab.guest.server_id} hostname=loom" in said
    assert "10.77.0.5" in said
    assert "keys=1" in said
    assert "user data runs" in said


async def test_its_console_is_read_over_the_api(lab: Lab) -> None:
    request = pb.GetConsoleRequest(server_id=lab.guest.server_id, offset=-1, length=4096)
    console = await lab.guests.GetConsole(request)
    assert b"READY" in console.data
    assert console.offset + len(console.data) == console.size_bytes


async def test_a_volume_comes_grows_is_kept_and_goes_while_it_runs(lab: Lab) -> None:
    server_id, volume_id = lab.guest.server_id, await lab.volume()
    volume = on_this_host(volume_id)
    assert (await lab.attach(volume)).device == "vdb"
    await lab.machine.says(server_id, "disk vdb is 131072")
    assert lab.content("volumes", volume_id) == b"weft was here\n"
    grown = await lab.volumes.ExtendVolume(
        volume_pb.ExtendVolumeRequest(volume_id=volume_id, size_bytes=128 * MIB)
    )
    assert grown.size_bytes == 128 * MIB
    await lab.machine.says(server_id, "disk vdb is 262144")
    snapshot_id = str(uuid.uuid4())
    request = volume_pb.CreateSnapshotRequest(volume_id=volume_id, snapshot_id=snapshot_id)
    await lab.volumes.CreateSnapshot(request, timeout=60)
    assert lab.content("snapshots", snapshot_id) == b"weft was here\n"
    with pytest.raises(CloudError) as held:
        await lab.volumes.DeleteVolume(volume_pb.DeleteVolumeRequest(volume_id=volume_id))
    assert held.value.reason == "IN_USE"
    await lab.detach(volume)
    await lab.machine.says(server_id, "disk vdb is gone")
    drop = volume_pb.DeleteSnapshotRequest(volume_id=volume_id, snapshot_id=snapshot_id)
    await lab.volumes.DeleteSnapshot(drop)
    await lab.volumes.DeleteVolume(volume_pb.DeleteVolumeRequest(volume_id=volume_id))


async def test_a_volume_of_another_host_comes_over_nbd(lab: Lab) -> None:
    volume_id, server_id = await lab.volume(), lab.guest.server_id
    export = await lab.volumes.ExportVolume(
        volume_pb.ExportVolumeRequest(volume_id=volume_id, export_id=str(uuid.uuid4()))
    )
    volume = GuestVolume(
        attachment_id=str(uuid.uuid4()), volume_id=volume_id, connection=Connection(nbd=export)
    )
    await lab.attach(volume)
    await lab.machine.says(server_id, "disk vdb is 131072", times=2)
    await lab.detach(volume)
    await lab.machine.says(server_id, "disk vdb is gone", times=2)
    end = volume_pb.UnexportVolumeRequest(volume_id=volume_id, export_id=export.export)
    await lab.volumes.UnexportVolume(end)
    assert lab.content("volumes", volume_id) == b"weft was here\n"
    await lab.volumes.DeleteVolume(volume_pb.DeleteVolumeRequest(volume_id=volume_id))


async def test_it_runs_on_when_the_agent_is_killed_and_is_adopted(lab: Lab) -> None:
    process = lab.machine.qemu(lab.guest.server_id)
    lab.control.compute.guests.clear()
    lab.machine.end(signal.SIGKILL)
    assert lab.machine.qemu(lab.guest.server_id) == process is not None
    lab.machine.start()
    await lab.registered(2)
    await lab.answers()
    await lab.told(Reported.GUEST_STATE_RUNNING)
    assert lab.guest.server_id in lab.control.compute.complete[-1]
    assert lab.machine.qemu(lab.guest.server_id) == process


async def test_it_runs_on_when_libvirtd_is_killed_and_is_adopted(lab: Lab) -> None:
    process, daemon = lab.machine.qemu(lab.guest.server_id), lab.machine.libvirtd()
    assert daemon is not None
    told_before = len(lab.control.compute.complete)
    os.kill(daemon, signal.SIGKILL)

    async def told() -> bool:
        return len(lab.control.compute.complete) > told_before

    await until(told, 60)
    assert lab.machine.libvirtd() not in (None, daemon)
    assert await lab.state() == RUNNING
    assert lab.machine.qemu(lab.guest.server_id) == process


async def test_a_guest_that_was_asked_restarts_by_itself(lab: Lab) -> None:
    server_id, process = lab.guest.server_id, lab.machine.qemu(lab.guest.server_id)
    await lab.guests.RebootGuest(pb.RebootGuestRequest(server_id=server_id), timeout=90)
    await lab.machine.says(server_id, "READY", times=2)
    assert lab.machine.qemu(server_id) == process
    assert lab.machine.console(server_id).count("user data runs") == 1


async def test_it_shuts_down_when_asked_and_that_is_reported(lab: Lab) -> None:
    server_id = lab.guest.server_id
    began = time.monotonic()
    grace = Duration(seconds=60)
    stopped = await lab.guests.StopGuest(pb.StopGuestRequest(server_id=server_id, grace=grace), timeout=90)
    assert (stopped.state, stopped.detail) == (OFF, "shutdown")
    assert time.monotonic() - began < 60
    await lab.told(Reported.GUEST_STATE_SHUTOFF)
    assert "power button" in lab.machine.console(server_id)


async def test_nothing_is_left_of_it(lab: Lab) -> None:
    await lab.guests.DeleteGuest(pb.DeleteGuestRequest(server_id=lab.guest.server_id))
    await lab.told(Reported.GUEST_STATE_GONE)
    assert list((lab.machine.state / "guests").iterdir()) == []
    assert lab.machine.qemu(lab.guest.server_id) is None


async def test_a_config_drive_tells_a_guest_that_has_no_network(lab: Lab) -> None:
    told = GuestMetadata(hostname="alone", name="alone", user_data=b"#!/bin/sh\necho by the drive\n")
    guest = spec(await lab.root(), metadata=told, config_drive=True)
    await lab.guests.DefineGuest(pb.DefineGuestRequest(guest=guest), timeout=60)
    await lab.guests.StartGuest(pb.StartGuestRequest(server_id=guest.server_id), timeout=60)
    said = await lab.machine.says(guest.server_id, "READY")
    assert f"READY instance={guest.server_id} hostname=alone" in said
    assert "by the drive" in said
    hard = pb.RebootGuestRequest(server_id=guest.server_id, hard=True)
    assert (await lab.guests.RebootGuest(hard, timeout=60)).state == RUNNING
    process = lab.machine.qemu(guest.server_id)
    assert process is not None
    os.kill(process, signal.SIGKILL)
    await lab.told(Reported.GUEST_STATE_CRASHED, guest.server_id)
    await lab.guests.DeleteGuest(pb.DeleteGuestRequest(server_id=guest.server_id))
