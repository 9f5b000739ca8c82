"""A guest's life, with simulated guests and real files."""

import asyncio
import uuid
from collections.abc import Callable, Iterable

import pytest

from mesh.errors import CloudError
from mesh.warnings import Finding
from node.guest import power
from node.guest.simulated import SimulatedHypervisor
from node.ledger import Ledger
from node.sweep import HostSweep
from tests.node.conftest import MIB, Host, on_this_host, spec
from weft.node.v1.resources_pb2 import GuestMetadata, GuestPort, GuestSpec, GuestState, RootDisk

RUNNING, OFF = GuestState.GUEST_STATE_RUNNING, GuestState.GUEST_STATE_SHUTOFF


async def root(host: Host) -> RootDisk:
    wanted = host.service.add(b"boot".ljust(MIB, b"\0"))
    await host.images.stage(wanted)
    return RootDisk(image_sha256=wanted.sha256, size_bytes=2 * MIB, image_format="raw")


async def test_a_guest_is_defined_started_stopped_and_deleted(host: Host) -> None:
    guest = spec(await root(host), ephemeral_bytes=MIB, config_drive=True)
    assert (await host.guests.define(guest)).state == OFF
    assert host.files() == {"root.qcow2", "ephemeral.raw", "config.iso"}
    started = await host.power.start(guest.server_id)
    assert (started.state, started.hypervisor) == (RUNNING, "simulated")
    assert (await host.power.reboot(guest.server_id, hard=False)).state == RUNNING
    assert (await host.power.stop(guest.server_id, grace=1)).detail == "shutdown"
    await host.guests.delete(guest.server_id)
    assert host.files() == set()
    assert await host.guests.list() == []


async def test_each_call_can_be_made_again(host: Host) -> None:
    guest = spec(await root(host))
    for _ in range(2):
        await host.guests.define(guest)
    for _ in range(2):
        assert (await host.power.start(guest.server_id)).state == RUNNING
    assert (await host.guests.define(guest)).state == RUNNING
    for _ in range(2):
        assert (await host.power.stop(guest.server_id, grace=0)).state == OFF
    for _ in range(2):
        await host.guests.delete(guest.server_id)
    assert host.ledger.guests == {}


async def test_a_guest_of_another_operation_is_refused(host: Host) -> None:
    guest = spec(await root(host))
    await host.guests.define(guest)
    later = GuestSpec()
    later.CopyFrom(guest)
    later.operation_id = str(uuid.uuid4())
    with pytest.raises(CloudError) as refused:
        await host.guests.define(later)
    assert refused.value.reason == "WRONG_STATUS"
    assert (await host.guests.get(guest.server_id)).operation_id == guest.operation_id


async def test_a_guest_that_cannot_be_made_leaves_nothing(host: Host) -> None:
    unstaged = RootDisk(image_sha256="0" * 64, size_bytes=MIB, image_format="raw")
    missing = on_this_host(str(uuid.uuid4()))
    for guest, reason in (
        (spec(unstaged), "WRONG_STATUS"),
        (spec(await root(host), volumes=[missing]), "NOT_FOUND"),
    ):
        with pytest.raises(CloudError) as refused:
            await host.guests.define(guest)
        assert refused.value.reason == reason
    assert (host.files(), host.ledger.guests) == (set(), {})
    await host.guests.define(spec(await root(host)))
    assert host.files() == {"root.qcow2"}


async def test_devices_are_lettered_in_order(host: Host) -> None:
    first, second, third = [await host.volume() for _ in range(3)]
    guest = spec(await root(host), volumes=[on_this_host(first), on_this_host(second, device="vdd")])
    defined = await host.guests.define(guest)
    assert [volume.device for volume in defined.volumes] == ["vdb", "vdd"]
    attached = await host.attachments.attach(guest.server_id, on_this_host(third))
    assert attached.device == "vdc"


async def test_a_volume_has_one_guest_at_a_time(host: Host) -> None:
    volume_id = await host.volume()
    one, other = spec(await root(host)), spec(await root(host))
    for guest in (one, other):
        await host.guests.define(guest)
    attachment = on_this_host(volume_id)
    for _ in range(2):
        assert (await host.attachments.attach(one.server_id, attachment)).device == "vdb"
    with pytest.raises(CloudError) as used:
        await host.attachments.attach(other.server_id, on_this_host(volume_id))
    assert used.value.reason == "IN_USE"
    with pytest.raises(CloudError) as held:
        await host.volumes.delete(volume_id)
    assert held.value.reason == "IN_USE"
    for _ in range(2):
        await host.attachments.detach(one.server_id, attachment.attachment_id)
    await host.attachments.attach(other.server_id, on_this_host(volume_id))
    assert len((await host.guests.get(other.server_id)).volumes) == 1


async def test_a_volume_outlives_the_guest_that_had_it(host: Host) -> None:
    volume_id = await host.volume()
    guest = spec(await root(host), volumes=[on_this_host(volume_id)])
    await host.guests.define(guest)
    await host.guests.delete(guest.server_id)
    assert host.files() == {f"{volume_id}.raw"}
    await host.volumes.delete(volume_id)


async def test_a_start_waits_for_every_port(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [GuestPort(port_id=str(uuid.uuid4()), mac_address="fa:16:3e:00:00:01") for _ in range(2)]
    guest = spec(await root(host), ports=ports)
    await host.guests.define(guest)
    asked = []

    class Slow:
        async def ready(self, port_id: str, deadline_s: float) -> None:
            asked.append(port_id)
            if len(asked) == 2:
                raise CloudError("PORT_NOT_WIRED", "too late", port_id=port_id, host_id="")

    monkeypatch.setattr(host.power, "_wires", Slow())
    with pytest.raises(CloudError) as late:
        await host.power.start(guest.server_id)
    assert late.value.reason == "PORT_NOT_WIRED"
    assert set(asked) == {port.port_id for port in ports}
    assert (await host.guests.get(guest.server_id)).state == OFF


async def test_a_guest_that_ignores_its_power_button_is_killed_in_the_end(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = spec(await root(host))
    await host.guests.define(guest)
    await host.power.start(guest.server_id)
    presses = []

    async def ignore(server_id: str) -> None:
        presses.append(server_id)

    monkeypatch.setattr(host.hypervisor, "ask_to_stop", ignore)
    monkeypatch.setattr(power, "PRESS_AGAIN_SECONDS", 0.2)
    stopped = await host.power.stop(guest.server_id, grace=0.7)
    assert (stopped.state, stopped.detail) == (OFF, "destroyed")
    assert len(presses) > 1


async def test_a_delete_does_not_wait_for_a_guest_to_obey(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = spec(await root(host))
    await host.guests.define(guest)
    await host.power.start(guest.server_id)

    async def ignore(server_id: str) -> None:
        return None

    monkeypatch.setattr(host.hypervisor, "ask_to_stop", ignore)
    monkeypatch.setattr(power, "PRESS_AGAIN_SECONDS", 0.2)
    stop = asyncio.create_task(host.power.stop(guest.server_id, grace=600))
    await asyncio.sleep(0.1)
    assert not stop.done()
    async with asyncio.timeout(10):
        await host.guests.delete(guest.server_id)
    assert host.ledger.guests == {}
    await asyncio.gather(stop, return_exceptions=True)


async def test_the_metadata_server_learns_whose_port_it_is(host: Host) -> None:
    port = GuestPort(port_id=str(uuid.uuid4()), mac_address="fa:16:3e:00:00:01")
    guest = spec(await root(host), ports=[port], metadata=GuestMetadata(hostname="old", user_data=b"run me"))
    await host.guests.define(guest)
    await host.guests.tell(guest.server_id, GuestMetadata(hostname="new"))
    found = host.guests.metadata(port.port_id)
    assert found is not None
    assert (found[0].metadata.hostname, found[0].metadata.user_data) == ("new", b"run me")
    assert found[1] == port
    assert host.guests.metadata(str(uuid.uuid4())) is None


async def test_guests_come_back_after_a_reboot_of_the_host_as_they_were_asked_to_be(
    host: Host, ledger: Ledger, make_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, stopped = spec(await root(host)), spec(await root(host))
    for guest in (running, stopped):
        await host.guests.define(guest)
        await host.power.start(guest.server_id)
    await host.power.stop(stopped.server_id, grace=0)
    hypervisor = SimulatedHypervisor()
    for guest in (running, stopped):
        await hypervisor.define(guest, [], host.disks.console(guest.server_id))
    later = make_host(hypervisor)
    await later.power.resume()
    assert {g.state for g in await later.guests.list()} == {OFF}  # the same boot: somebody else stopped them
    monkeypatch.setattr(power, "boot_id", lambda: "another boot")
    await later.power.resume()
    seen = {g.server_id: g.state for g in await later.guests.list()}
    assert seen == {running.server_id: RUNNING, stopped.server_id: OFF}


async def test_only_so_many_guests_boot_at_the_same_time(host: Host) -> None:
    guests = [spec(await root(host)) for _ in range(3)]
    for guest in guests:
        await host.guests.define(guest)
    starts = [asyncio.create_task(host.power.start(guest.server_id)) for guest in guests]
    await asyncio.sleep(0.5)
    assert [start.done() for start in starts].count(True) == 2
    for guest in guests:
        host.disks.console(guest.server_id).write_bytes(b"hello")
    async with asyncio.timeout(5):
        await asyncio.gather(*starts)


class Told:
    """What was told last."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    async def tell(self, topic: str, findings: Iterable[Finding]) -> None:
        assert topic == "host"
        self.findings = list(findings)


def sweep_of(host: Host) -> tuple[HostSweep, Told]:
    told = Told()
    parts = (host.ledger, host.hypervisor, host.disks, host.images, host.sharing)
    return HostSweep(str(uuid.uuid4()), host.folder, *parts, told), told


async def test_the_sweep_reports_what_it_cannot_explain_and_touches_it_not(host: Host) -> None:
    guest, volume_id = spec(await root(host)), await host.volume()
    await host.guests.define(guest)
    sweep, told = sweep_of(host)
    for _ in range(2):
        await sweep.run()
    assert told.findings == []
    stranger, lost = str(uuid.uuid4()), str(uuid.uuid4())
    foreign = host.pool.volume_path(stranger)
    foreign.write_bytes(b"precious")
    await host.hypervisor.define(spec(server_id=lost), [], host.disks.console(lost))
    host.pool.volume_path(volume_id).unlink()
    await sweep.run()
    assert told.findings == [], "it may be under way"
    await sweep.run()
    assert {(f.kind, f.resource_id) for f in told.findings} == {
        ("UNKNOWN_FILE", stranger),
        ("UNKNOWN_GUEST", lost),
        ("LOST_VOLUME", volume_id),
    }
    assert foreign.read_bytes() == b"precious"
    assert set(await host.hypervisor.list()) == {guest.server_id, lost}


async def test_debris_of_an_agent_that_was_killed_is_cleared(host: Host) -> None:
    volume_id = await host.volume()
    debris = host.folder / "snapshots" / "half.raw.making"
    debris.parent.mkdir()
    debris.write_bytes(b"half")
    sweep, _ = sweep_of(host)
    sweep.clear_debris()
    assert host.files() == {f"{volume_id}.raw"}
