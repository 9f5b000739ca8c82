"""Volumes, snapshots and exports, on real files and with real storage daemons."""

import asyncio
import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh.errors import CloudError
from node.disk import exports as nbd
from node.disk import qemu_img
from node.guest.simulated import SimulatedHypervisor
from node.ledger import Ledger
from tests.node.conftest import MIB, Host, on_this_host, spec
from tests.node.images import qcow2
from weft.block.v1.resources_pb2 import NbdConnection
from weft.node.v1.volume_service_pb2 import CreateVolumeRequest, ExportVolumeRequest, VolumeImageSource

PATTERN = b"weft" * 1024


def content(host: Host, volume_id: str) -> bytes:
    return host.pool.volume(volume_id).read_bytes()


def write(host: Host, volume_id: str, data: bytes, at: int = 0) -> None:
    with host.pool.volume(volume_id).open("r+b") as file:
        file.seek(at)
        file.write(data)


async def export(host: Host, volume_id: str, **fields: object) -> NbdConnection:
    request = ExportVolumeRequest(volume_id=volume_id, export_id=str(uuid.uuid4()), **fields)
    return await host.sharing.begin(request)


def qemu_io(connection: NbdConnection, command: str, *options: str) -> str:
    url = nbd.url(connection.address, connection.export)
    line = ["qemu-io", *options, "-f", "raw", "-c", command, url]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


async def test_an_empty_volume_is_zeroes_and_takes_no_room(host: Host) -> None:
    volume_id = await host.volume(64 * MIB)
    (listed,) = host.volumes.list()
    assert (listed.volume_id, listed.size_bytes, listed.format) == (volume_id, 64 * MIB, "raw")
    assert listed.allocated_bytes < MIB
    assert host.pool.volume(volume_id).stat().st_size == 64 * MIB


async def test_making_a_volume_twice_is_making_it_once(host: Host) -> None:
    request = CreateVolumeRequest(volume_id=str(uuid.uuid4()), size_bytes=MIB, operation_id=str(uuid.uuid4()))
    await host.volumes.create(request)
    write(host, request.volume_id, PATTERN)
    await host.volumes.create(request)
    assert content(host, request.volume_id).startswith(PATTERN)
    request.size_bytes = 2 * MIB
    with pytest.raises(CloudError) as other:
        await host.volumes.create(request)
    assert other.value.reason == "ALREADY_EXISTS"


@pytest.mark.parametrize("form", ["raw", "qcow2"])
async def test_a_volume_begins_as_an_image(host: Host, tmp_path: Path, form: str) -> None:
    data = PATTERN.ljust(MIB, b"\0")
    wanted = host.service.add(data if form == "raw" else qcow2(tmp_path, data), form)
    source = VolumeImageSource(
        image_id=wanted.image_id, sha256=wanted.sha256, size_bytes=wanted.size_bytes, format=form
    )
    volume_id = await host.volume(3 * MIB, image=source)
    assert content(host, volume_id) == data.ljust(3 * MIB, b"\0")
    with pytest.raises(CloudError) as small:
        await host.volume(MIB // 2, image=source)
    assert small.value.reason == "INVALID_ARGUMENT"
    assert len(host.volumes.list()) == 1


async def test_a_snapshot_keeps_what_was_and_makes_new_volumes(host: Host) -> None:
    volume_id, snapshot_id = await host.volume(MIB), str(uuid.uuid4())
    write(host, volume_id, PATTERN)
    await host.snapshots.create(volume_id, snapshot_id)
    write(host, volume_id, b"changed")
    restored = await host.volume(2 * MIB, snapshot_id=snapshot_id)
    assert content(host, restored) == PATTERN.ljust(2 * MIB, b"\0")
    assert content(host, volume_id).startswith(b"changed")
    await host.snapshots.delete(volume_id, snapshot_id)
    await host.snapshots.delete(volume_id, snapshot_id)
    with pytest.raises(CloudError) as gone:
        await host.volume(MIB, snapshot_id=snapshot_id)
    assert gone.value.reason == "NOT_FOUND"
    assert host.files() == {f"{volume_id}.raw", f"{restored}.raw"}


async def test_a_volume_is_copied_from_another_that_nobody_has(host: Host) -> None:
    first = await host.volume(MIB)
    write(host, first, PATTERN)
    second = await host.volume(MIB, source_volume_id=first)
    assert content(host, second) == content(host, first)


async def test_extending_adds_zeroes_and_never_takes_away(host: Host) -> None:
    volume_id = await host.volume(MIB)
    write(host, volume_id, PATTERN)
    assert (await host.volumes.extend(volume_id, 2 * MIB)).size_bytes == 2 * MIB
    assert (await host.volumes.extend(volume_id, MIB)).size_bytes == 2 * MIB
    assert content(host, volume_id) == PATTERN.ljust(2 * MIB, b"\0")


async def test_another_host_reads_and_writes_an_export(host: Host) -> None:
    volume_id = await host.volume(MIB)
    connection = await export(host, volume_id)
    qemu_io(connection, "write -P 0x41 0 4096")
    assert "read 4096/4096" in qemu_io(connection, "read -P 0x41 0 4096")
    assert host.volumes.list()[0].export_address == connection.address
    for refused in (
        host.volumes.delete(volume_id),
        host.guests.define(spec(volumes=[on_this_host(volume_id)])),
        export(host, volume_id),
    ):
        with pytest.raises(CloudError) as used:
            await refused
        assert used.value.reason == "IN_USE"
    await host.sharing.end(volume_id, connection.export)
    assert content(host, volume_id).startswith(b"A" * 4096)
    await host.volumes.delete(volume_id)
    assert host.files() == set()


async def test_the_name_of_an_export_is_its_key(host: Host) -> None:
    connection = await export(host, await host.volume(MIB))
    assert "read" in qemu_io(connection, "read 0 512")
    connection.export = str(uuid.uuid4())
    with pytest.raises(subprocess.CalledProcessError):
        qemu_io(connection, "read 0 512")


async def test_a_read_only_export_takes_no_writes(host: Host) -> None:
    volume_id, snapshot_id = await host.volume(MIB), str(uuid.uuid4())
    await host.snapshots.create(volume_id, snapshot_id)
    connection = await export(host, volume_id, snapshot_id=snapshot_id, read_only=True)
    assert "read" in qemu_io(connection, "read 0 512", "-r")
    with pytest.raises(subprocess.CalledProcessError):
        qemu_io(connection, "write 0 512")
    with pytest.raises(CloudError) as used:
        await host.snapshots.delete(volume_id, snapshot_id)
    assert used.value.reason == "IN_USE"


async def test_a_volume_is_made_from_an_export_of_another_host(host: Host) -> None:
    first = await host.volume(MIB)
    write(host, first, PATTERN)
    connection = await export(host, first, read_only=True)
    second = await host.volume(2 * MIB, export=connection)
    assert content(host, second) == PATTERN.ljust(2 * MIB, b"\0")


async def test_a_snapshot_is_taken_of_a_volume_that_another_host_has(host: Host) -> None:
    volume_id, snapshot_id = await host.volume(MIB), str(uuid.uuid4())
    connection = await export(host, volume_id)
    qemu_io(connection, "write -P 0x42 0 512")
    await host.snapshots.create(volume_id, snapshot_id)
    qemu_io(connection, "write -P 0x43 0 512")
    assert host.pool.snapshot(snapshot_id).read_bytes() == (b"B" * 512).ljust(MIB, b"\0")
    with pytest.raises(CloudError) as extending:
        await host.volumes.extend(volume_id, 2 * MIB)
    assert extending.value.reason == "UNSUPPORTED"


async def test_an_export_outlives_the_agent_and_is_adopted(
    host: Host, ledger: Ledger, make_host: Callable[..., Host]
) -> None:
    connection = await export(host, await host.volume(MIB))
    qemu_io(connection, "write -P 0x44 0 512")
    await ledger.load()
    later = make_host(SimulatedHypervisor())
    assert await later.sharing.restore() == []
    assert "read" in qemu_io(connection, "read -P 0x44 0 512")


async def test_an_export_whose_daemon_died_is_served_again_at_its_address(host: Host) -> None:
    connection = await export(host, await host.volume(MIB))
    (pid_file,) = (host.folder / "exports").glob("*.pid")
    os.kill(int(pid_file.read_text()), 9)
    while host.exports.running(connection.export):
        pass
    assert await host.sharing.restore() == [connection.export]
    assert "read" in qemu_io(connection, "read 0 512")


async def test_a_full_disk_leaves_nothing_behind(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await host.volume(MIB)
    write(host, first, PATTERN)

    async def full(*command: object, near: Path) -> bytes:
        await asyncio.to_thread(Path(str(command[-1])).write_bytes, b"half of it")
        raise qemu_img.full(near, MIB)

    monkeypatch.setattr(qemu_img, "run", full)
    with pytest.raises(CloudError) as refused:
        await host.volume(MIB, source_volume_id=first)
    assert refused.value.reason == "STORAGE_FULL"
    assert host.files() == {f"{first}.raw"}
    assert [volume.volume_id for volume in host.volumes.list()] == [first]
    monkeypatch.undo()
    assert content(host, await host.volume(MIB, source_volume_id=first)).startswith(PATTERN)
