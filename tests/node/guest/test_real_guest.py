"""A real guest under QEMU on a real host agent: one of it, in the order of its life."""

import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration

from mesh.errors import CloudError
from node.disk import qemu_img
from tests.node.conftest import MIB, on_this_host, spec
from tests.node.guest.lab import Lab, laboratory, network_of
from tests.services.harness import until
from weft.block.v1.resources_pb2 import Connection
from weft.compute.v1.host_service_pb2 import GuestState as Reported
from weft.node.v1 import guest_service_pb2 as pb
from weft.node.v1 import volume_service_pb2 as volume_pb
from weft.node.v1.resources_pb2 import (
    GuestAddress,
    GuestMetadata,
    GuestPort,
    GuestState,
    GuestVolume,
)

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
(while sleep 0.3; do
    cards=$(ls /sys/class/net | grep -c eth)
    [ "$cards" = "$were" ] || echo "cards: $cards" >/dev/console
    were=$cards
done) &
"""


def command_of(process: int | None) -> str:
    """How a process was called."""
    return Path(f"/proc/{process}/cmdline").read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with laboratory() as found:
        yield found


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
    lab.control.network.change(network_of(lab.guest.server_id, port))
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


async def test_it_stands_still_and_runs_on_from_memory_and_from_the_disk(lab: Lab) -> None:
    server_id, process = lab.guest.server_id, lab.machine.qemu(lab.guest.server_id)
    for _ in range(2):
        paused = await lab.guests.PauseGuest(pb.PauseGuestRequest(server_id=server_id))
        assert paused.state == GuestState.GUEST_STATE_PAUSED
    await lab.told(Reported.GUEST_STATE_PAUSED)
    for _ in range(2):
        await lab.guests.UnpauseGuest(pb.UnpauseGuestRequest(server_id=server_id))
    assert (await lab.state(), lab.machine.qemu(server_id)) == (RUNNING, process)
    for _ in range(2):
        saved = await lab.guests.SuspendGuest(pb.SuspendGuestRequest(server_id=server_id), timeout=60)
        assert (saved.state, lab.machine.qemu(server_id)) == (OFF, None)
    with pytest.raises(CloudError) as refused:
        await lab.guests.PauseGuest(pb.PauseGuestRequest(server_id=server_id))
    assert refused.value.reason == "WRONG_STATUS"
    back = await lab.guests.StartGuest(pb.StartGuestRequest(server_id=server_id), timeout=60)
    assert back.state == RUNNING
    assert lab.machine.qemu(server_id) not in (None, process)


async def test_a_card_comes_and_goes_while_it_runs(lab: Lab) -> None:
    server_id, first = lab.guest.server_id, lab.guest.ports[0]
    await lab.machine.says(server_id, "cards: 1")
    port = GuestPort(
        port_id=str(uuid.uuid4()),
        network_id=first.network_id,
        mac_address="fa:16:3e:77:00:06",
        mtu=1450,
        addresses=[GuestAddress(address="10.77.0.6/24")],
    )
    lab.control.network.change(network_of(server_id, first, port))
    for _ in range(2):
        await lab.guests.AttachPort(pb.AttachPortRequest(server_id=server_id, port=port), timeout=60)
    await lab.machine.says(server_id, "cards: 2")
    for _ in range(2):
        request = pb.DetachPortRequest(server_id=server_id, port_id=port.port_id)
        await lab.guests.DetachPort(request, timeout=60)
    await lab.machine.says(server_id, "cards: 1", times=2)
    lab.control.network.change(network_of(server_id, first))


async def test_its_root_disk_is_copied_while_it_runs(lab: Lab, tmp_path: Path) -> None:
    server_id, image_id = lab.guest.server_id, str(uuid.uuid4())
    fields = {"server_id": server_id, "snapshot_id": image_id}
    for _ in range(2):
        await lab.guests.SnapshotGuest(pb.SnapshotGuestRequest(**fields), timeout=60)
    await lab.guests.UploadSnapshot(pb.UploadSnapshotRequest(**fields), timeout=60)
    copy = tmp_path / "copy.qcow2"
    copy.write_bytes(lab.control.images._images.brought[image_id])
    info = await qemu_img.info(copy, "qcow2")
    assert (info["virtual-size"], "backing-filename" in info) == (lab.guest.root_disk.size_bytes, False)
    await qemu_img.run("qemu-img", "check", "-q", "-f", "qcow2", copy, near=tmp_path)
    assert await lab.state() == RUNNING
    for _ in range(2):
        await lab.guests.DropSnapshot(pb.DropSnapshotRequest(**fields))


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


async def test_it_runs_in_another_size_and_is_what_it_was_again(lab: Lab) -> None:
    server_id, start = lab.guest.server_id, pb.StartGuestRequest(server_id=lab.guest.server_id)
    wish = pb.ResizeGuestRequest(
        server_id=server_id,
        vcpus=2,
        memory_mib=160,
        root_bytes=lab.guest.root_disk.size_bytes + MIB,
        operation_id=str(uuid.uuid4()),
    )
    for change, memory, slack in (
        (lambda: lab.guests.ResizeGuest(wish, timeout=60), 160, MIB),
        (lambda: lab.guests.RevertGuest(pb.RevertGuestRequest(server_id=server_id), timeout=60), 128, 0),
    ):
        await change()
        await lab.guests.StartGuest(start, timeout=60)
        assert str(memory * MIB) in command_of(lab.machine.qemu(server_id))
        root = lab.machine.state / "guests" / server_id / "root.qcow2"
        info = await qemu_img.info(root, "qcow2")
        assert info["virtual-size"] == lab.guest.root_disk.size_bytes + slack
        await lab.guests.StopGuest(pb.StopGuestRequest(server_id=server_id), timeout=60)
    await lab.told(Reported.GUEST_STATE_SHUTOFF)


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
