"""What is asked of libvirt, on its own simulated driver (test:///default)."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import libvirt
import pytest

from mesh.errors import CloudError
from node.guest.devices import Disk, FileSource, NbdSource
from node.guest.hypervisor import Sighting
from node.guest.qemu import QemuHypervisor
from tests.node.conftest import spec
from weft.node.v1.resources_pb2 import GuestPort, GuestState

HOST = str(uuid.uuid4())
OFF, RUNNING = GuestState.GUEST_STATE_SHUTOFF, GuestState.GUEST_STATE_RUNNING
ROOT = Disk("vda", FileSource(Path("/images/root.qcow2"), "qcow2"), boot_order=1)
heard: list[tuple[str, Sighting | None]] = []


@pytest.fixture
async def hypervisor(tmp_path: Path) -> AsyncIterator[QemuHypervisor]:
    heard.clear()
    made = QemuHypervisor("test", tmp_path, HOST, "test:///default")
    await made.open(lambda server_id, seen: heard.append((server_id, seen)), lambda: None)
    yield made
    for server_id in await made.list():
        await made.undefine(server_id)
    await made.close()


async def test_a_guest_is_started_and_killed_and_each_change_is_heard(hypervisor: QemuHypervisor) -> None:
    guest = spec()
    await hypervisor.define(guest, [ROOT], Path("/console.log"))
    assert (await hypervisor.see(guest.server_id)).state == OFF
    for _ in range(2):
        await hypervisor.start(guest.server_id)
    assert (await hypervisor.see(guest.server_id)).state == RUNNING
    for _ in range(2):
        await hypervisor.kill(guest.server_id)
    await hypervisor.undefine(guest.server_id)
    await hypervisor.undefine(guest.server_id)
    assert await hypervisor.see(guest.server_id) is None
    for _ in range(500):
        if (guest.server_id, None) in heard:
            break
        await asyncio.sleep(0.01)
    assert [seen.state if seen else None for _, seen in heard] == [RUNNING, OFF, None]


async def test_a_guest_without_a_file_of_its_own_has_a_place_for_its_console(
    hypervisor: QemuHypervisor, tmp_path: Path
) -> None:
    console = tmp_path / "guests" / "of a volume" / "console.log"
    await hypervisor.define(spec(), [ROOT], console)
    assert console.parent.is_dir()


async def test_a_guest_that_an_operator_made_is_not_there(hypervisor: QemuHypervisor) -> None:
    by_hand = await hypervisor._connection.run("look", lambda c: c.listAllDomains())
    assert by_hand, "libvirt's test driver comes with a domain of its own"
    other = by_hand[0].UUIDString()
    assert other not in await hypervisor.list()
    assert await hypervisor.see(other) is None
    assert await hypervisor.foreign() == {domain.UUIDString(): domain.name() for domain in by_hand}
    await hypervisor.undefine(other)
    with pytest.raises(CloudError) as refused:
        await hypervisor.start(other)
    assert refused.value.reason == "HYPERVISOR_FAILED"
    assert by_hand[0].isActive()


async def test_a_guest_of_another_host_is_not_there(hypervisor: QemuHypervisor, tmp_path: Path) -> None:
    guest = spec()
    await hypervisor.define(guest, [ROOT], Path("/console.log"))
    clone = QemuHypervisor("test", tmp_path, str(uuid.uuid4()), "test:///default")
    clone._connection = hypervisor._connection
    assert await clone.list() == {}
    await clone.undefine(guest.server_id)
    assert guest.server_id in await hypervisor.list()


async def test_libvirt_keeps_every_device_as_it_was_told(hypervisor: QemuHypervisor) -> None:
    port = GuestPort(
        port_id="0b7ad2f6-9d0e-4a52-8f31-0e9b0c9f2b01", mac_address="fa:16:3e:00:00:01", mtu=1450
    )
    guest = spec(ports=[port])
    volume = Disk("vdb", NbdSource("[2001:db8::1]:10809", "name"), "serial")
    medium = Disk("sda", FileSource(Path("/images/install.iso"), "raw"), boot_order=2, cdrom=True)
    await hypervisor.define(guest, [ROOT, volume, medium], Path("/console.log"))

    def document(connection: libvirt.virConnect) -> str:
        return connection.lookupByUUIDString(guest.server_id).XMLDesc(0)

    told = await hypervisor._connection.run("read", document)
    for part in (
        "<target dev='tap0b7ad2f6-9d' managed='no'/>",
        "<mac address='fa:16:3e:00:00:01'/>",
        "<mtu size='1450'/>",
        "<source protocol='nbd' name='name'",
        "<host name='2001:db8::1' port='10809'/>",
        "<serial>serial</serial>",
        "<readonly/>",
        "model='virtio-scsi'",
        f'operation="{guest.operation_id}" host="{HOST}"',
        "<entry name='product'>OpenStack Compute</entry>",
    ):
        assert part in told, part


async def test_a_refusal_says_why_and_names_no_path(hypervisor: QemuHypervisor) -> None:
    guest = spec()
    await hypervisor.define(guest, [ROOT], Path("/console.log"))

    def refuse(domain: libvirt.virDomain) -> None:
        raise libvirt.libvirtError("cannot open '/var/lib/weft/node/guests/x/root.qcow2': full")

    with pytest.raises(CloudError) as refused:
        await hypervisor._on("start", guest.server_id, refuse)
    assert refused.value.reason == "HYPERVISOR_FAILED"
    assert "/var/lib" not in str(refused.value)
    assert "full" in refused.value.message
