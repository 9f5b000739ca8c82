"""Guests are rebuilt, resized, moved and copied, with simulated guests and real files."""

import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.database import Database
from mesh.errors import CloudError
from node.guest.simulated import SimulatedHypervisor
from node.ledger import MIGRATIONS, TABLES, Ledger
from tests.node.conftest import MIB, Host, on_this_host, spec
from weft.node.v1.guest_service_pb2 import ResizeGuestRequest
from weft.node.v1.resources_pb2 import GuestPort, GuestSpec, GuestState, RootDisk

RUNNING, OFF = GuestState.GUEST_STATE_RUNNING, GuestState.GUEST_STATE_SHUTOFF


async def root(host: Host, content: bytes = b"boot") -> RootDisk:
    wanted = host.service.add(content.ljust(MIB, b"\0"))
    await host.images.stage(wanted)
    return RootDisk(image_sha256=wanted.sha256, size_bytes=2 * MIB, image_format="raw")


def path_of(host: Host, server_id: str) -> Path:
    return host.disks.root(server_id).path


def write(path: Path, text: str) -> None:
    """As a guest would, at the beginning of its disk."""
    form = "qcow2" if path.suffix == ".qcow2" else "raw"
    pattern = f"write -P {ord(text)} 0 512"
    subprocess.run(["qemu-io", "-f", form, "-c", pattern, path], check=True, capture_output=True)


def content(path: Path, form: str = "") -> tuple[bytes, int]:
    """What a guest would read first, and the size of the disk."""
    form = form or ("qcow2" if path.suffix == ".qcow2" else "raw")
    flat = path.with_name("flat")
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", path, flat], check=True)
    data = flat.read_bytes()
    flat.unlink()
    return data[:4], len(data)


def resized(guest: GuestSpec, **fields: int) -> ResizeGuestRequest:
    wish = {"vcpus": 2, "memory_mib": 256, "root_bytes": 4 * MIB, "ephemeral_bytes": MIB}
    operation_id = str(uuid.uuid4())
    return ResizeGuestRequest(server_id=guest.server_id, operation_id=operation_id, **(wish | fields))


async def test_a_rebuilt_guest_has_new_disks_and_its_old_ports_and_volumes(host: Host) -> None:
    volume = on_this_host(await host.volume())
    port = GuestPort(port_id=str(uuid.uuid4()), mac_address="fa:16:3e:00:00:01")
    guest = spec(await root(host), volumes=[volume], ports=[port], config_drive=True)
    await host.guests.define(guest)
    await host.power.start(guest.server_id)
    write(path_of(host, guest.server_id), "x")
    anew = spec(await root(host, b"else"), server_id=guest.server_id, config_drive=True)
    for found in (b"else", b"yyyy"):  # a second call changes nothing
        rebuilt = await host.remaking.rebuild(anew)
        assert (rebuilt.state, rebuilt.operation_id) == (OFF, anew.operation_id)
        assert [v.volume_id for v in rebuilt.volumes] == [volume.volume_id]
        assert content(path_of(host, guest.server_id)) == (found, 2 * MIB)
        write(path_of(host, guest.server_id), "y")
    assert [p.port_id for p in host.ledger.guest(guest.server_id).guest.ports] == [port.port_id]
    assert host.files() == {"root.qcow2", "config.iso", f"{volume.volume_id}.raw"}


async def test_a_guest_that_is_not_there_is_not_rebuilt(host: Host) -> None:
    with pytest.raises(CloudError) as refused:
        await host.remaking.rebuild(spec(await root(host)))
    assert refused.value.reason == "NOT_FOUND"


@pytest.mark.parametrize("kept", [True, False])
async def test_a_resize_is_kept_or_taken_back_with_what_was_written(host: Host, kept: bool) -> None:
    guest = spec(await root(host))
    await host.guests.define(guest)
    id, wish = guest.server_id, resized(guest)
    write(path_of(host, id), "a")
    for _ in range(2):
        assert (await host.remaking.resize(wish)).operation_id == wish.operation_id
    now = host.ledger.guest(id).guest
    assert (now.vcpus, now.memory_mib, now.root_disk.size_bytes) == (2, 256, 4 * MIB)
    assert content(path_of(host, id)) == (b"aaaa", 4 * MIB)
    assert host.files() == {"root.qcow2", "root.qcow2.before", "ephemeral.raw"}
    write(path_of(host, id), "b")
    for _ in range(2):
        await (host.remaking.confirm(id) if kept else host.remaking.revert(id))
    after = host.ledger.guest(id).guest
    assert (after.vcpus, after.ephemeral_bytes) == ((2, MIB) if kept else (1, 0))
    assert content(path_of(host, id)) == ((b"bbbb", 4 * MIB) if kept else (b"aaaa", 2 * MIB))
    assert host.files() == ({"root.qcow2", "ephemeral.raw"} if kept else {"root.qcow2"})


async def test_a_guest_that_runs_is_not_resized_and_a_disk_never_shrinks(host: Host) -> None:
    guest = spec(await root(host))
    await host.guests.define(guest)
    await host.power.start(guest.server_id)
    for work in (host.remaking.resize(resized(guest)), host.moving.begin(guest.server_id)):
        with pytest.raises(CloudError) as refused:
            await work
        assert refused.value.reason == "WRONG_STATUS"
    await host.power.stop(guest.server_id, 0)
    await host.remaking.resize(resized(guest, root_bytes=1, ephemeral_bytes=0))
    assert content(path_of(host, guest.server_id))[1] == 2 * MIB


@pytest.fixture
async def other(tmp_path: Path, host: Host) -> AsyncIterator[Host]:
    """A second host."""
    database = Database.open(f"sqlite:///{tmp_path}/other.db", TABLES, MIGRATIONS)
    ledger = Ledger(database)
    await ledger.load()
    yield Host(tmp_path / "other", ledger, SimulatedHypervisor(), host.service)
    await database.close()


async def test_a_guest_moves_with_its_disks_to_a_host_without_the_image(host: Host, other: Host) -> None:
    guest = spec(await root(host), ephemeral_bytes=MIB)
    await host.guests.define(guest)
    write(path_of(host, guest.server_id), "m")
    exported = await host.moving.begin(guest.server_id)
    assert await host.moving.begin(guest.server_id) == exported
    there = spec(exported.root_disk, server_id=guest.server_id, copy=exported.copy, ephemeral_bytes=2 * MIB)
    there.root_disk.size_bytes = 3 * MIB
    assert (await other.guests.define(there)).state == OFF
    for _ in range(2):
        await host.moving.end(guest.server_id)
    assert host.ledger.exports == {}
    assert not any((host.folder / "exports").glob("*.pid"))
    assert other.files() == {"root.raw", "ephemeral.raw"}
    assert content(path_of(other, guest.server_id)) == (b"mmmm", 3 * MIB)
    assert not other.ledger.guest(guest.server_id).guest.HasField("copy")
    await other.remaking.resize(resized(guest))
    assert content(path_of(other, guest.server_id)) == (b"mmmm", 4 * MIB)


async def test_a_guest_from_an_iso_image_does_not_move(host: Host) -> None:
    medium = await root(host)
    medium.image_format = "iso"
    guest = spec(medium)
    await host.guests.define(guest)
    with pytest.raises(CloudError) as refused:
        await host.moving.begin(guest.server_id)
    assert refused.value.reason == "UNSUPPORTED"
    assert host.ledger.exports == {}


async def test_a_copy_of_its_root_disk_is_brought_and_goes_away(host: Host, tmp_path: Path) -> None:
    guest, image_id = spec(await root(host)), str(uuid.uuid4())
    await host.guests.define(guest)
    write(path_of(host, guest.server_id), "1")
    for _ in range(2):
        await host.copies.make(guest.server_id, image_id)
        write(path_of(host, guest.server_id), "2")  # the moment was before
        await host.copies.bring(guest.server_id, image_id)
    (tmp_path / "brought").write_bytes(host.service.brought[image_id])
    assert content(tmp_path / "brought", "qcow2") == (b"1111", 2 * MIB)
    for _ in range(2):
        await host.copies.drop(guest.server_id, image_id)
    assert host.files() == {"root.qcow2"}
    with pytest.raises(CloudError) as refused:
        await host.copies.bring(guest.server_id, image_id)
    assert refused.value.reason == "NOT_FOUND"


async def test_what_boots_from_a_volume_has_no_disk_to_copy(host: Host) -> None:
    guest = spec(volumes=[on_this_host(await host.volume(), boot=True)])
    await host.guests.define(guest)
    with pytest.raises(CloudError) as refused:
        await host.copies.make(guest.server_id, str(uuid.uuid4()))
    assert refused.value.reason == "UNSUPPORTED"


async def test_a_guest_stands_still_and_goes_on(host: Host) -> None:
    guest = spec(await root(host))
    await host.guests.define(guest)
    with pytest.raises(CloudError) as refused:
        await host.freezing.suspend(guest.server_id)
    assert refused.value.reason == "WRONG_STATUS"
    await host.power.start(guest.server_id)
    assert (await host.freezing.pause(guest.server_id)).state == GuestState.GUEST_STATE_PAUSED
    assert (await host.freezing.unpause(guest.server_id)).state == RUNNING
    for _ in range(2):
        assert (await host.freezing.suspend(guest.server_id)).detail == "saved"
    assert not host.ledger.guest(guest.server_id).wanted_running
    assert (await host.power.start(guest.server_id)).state == RUNNING


async def test_a_card_is_known_to_the_ledger_as_long_as_the_guest_has_it(host: Host) -> None:
    guest = spec(await root(host))
    await host.guests.define(guest)
    port = GuestPort(port_id=str(uuid.uuid4()), mac_address="fa:16:3e:00:00:02")
    for _ in range(2):
        await host.cards.attach(guest.server_id, port)
    found = host.guests.metadata(port.port_id)
    assert found is not None
    assert len(found[0].ports) == 1
    for _ in range(2):
        await host.cards.detach(guest.server_id, port.port_id)
    assert host.guests.metadata(port.port_id) is None
