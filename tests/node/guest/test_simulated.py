"""A simulated machine outlives its agent, as a real one does."""

import uuid
from pathlib import Path

from node.disk.simulated import SimulatedExports, SimulatedStorage
from node.guest.simulated import SimulatedHypervisor
from node.ledger import ExportRecord
from tests.node.conftest import spec
from weft.node.v1.resources_pb2 import GuestState


async def test_guests_are_as_they_were_when_the_agent_comes_back(tmp_path: Path) -> None:
    file, running, stopped, gone = tmp_path / "new" / "guests.json", spec(), spec(), spec()
    first = SimulatedHypervisor(file)
    for guest in (running, stopped, gone):
        await first.define(guest, [], tmp_path / "console")
        await first.start(guest.server_id)
    await first.kill(stopped.server_id)
    await first.undefine(gone.server_id)
    later = SimulatedHypervisor(file)
    states = {server_id: seen.state for server_id, seen in (await later.list()).items()}
    assert states == {
        running.server_id: GuestState.GUEST_STATE_RUNNING,
        stopped.server_id: GuestState.GUEST_STATE_SHUTOFF,
    }
    assert await later.see(running.server_id) == await first.see(running.server_id)
    assert await SimulatedHypervisor().list() == {}


async def test_disks_and_exports_are_there_when_the_agent_comes_back(tmp_path: Path) -> None:
    disk, other = tmp_path / "volumes" / "a.raw", tmp_path / "volumes" / "b.raw"
    first = SimulatedStorage(tmp_path / "disks.json")
    await first.blank(disk, 1)
    await first.blank(other, 1)
    await first.remove(other)
    later = SimulatedStorage(tmp_path / "disks.json")
    assert [later.exists(path) for path in (disk, other)] == [True, False]
    export = ExportRecord(str(uuid.uuid4()), str(uuid.uuid4()), "", False, "192.0.2.1:10809")
    await SimulatedExports(tmp_path / "exports.json").start(export, disk)
    assert SimulatedExports(tmp_path / "exports.json").running(export.id)
    await SimulatedExports(tmp_path / "exports.json").stop(export.id)
    assert not SimulatedExports(tmp_path / "exports.json").running(export.id)
