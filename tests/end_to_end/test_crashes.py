"""Processes killed with -9 in the middle of boots, and a machine that is not as it should be."""

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.demo import leftovers
from mesh.errors import CloudError
from tests.end_to_end.clouds import Cloud, Person, cloud, weft
from tests.processes import alive, children
from weft.compute.v1 import resources_pb2, server_service_pb2
from weft.operation.v1 import operation_pb2

TRANSITIONAL = ("BUILDING", "STARTING", "STOPPING", "REBOOTING", "DELETING")
# So many seconds before the process dies a boot is begun: it is at the claim, the ports, the disk, the start.
MOMENTS = (2.5, 1.0, 0.3, 0.05)
# A guest boots so long where everything else is slow, in seconds.
PATIENCE = 240


@pytest.fixture(scope="module")
def one_host(guest_image: None) -> Iterator[Cloud]:
    with cloud() as found:
        yield found


async def settled(person: Person, server: resources_pb2.Server) -> operation_pb2.Operation:
    """How the operation ended, asked again as long as the cloud is coming back."""
    for _ in range(150):
        try:
            return await person.ended(server.operation_id)
        except CloudError:
            await asyncio.sleep(0.4)
    raise AssertionError("the operation did not end")


async def nothing_half_made(person: Person, server: resources_pb2.Server) -> None:
    """Running and whole, or in ERROR with all undone; and deleted in either case."""
    ended = await settled(person, server)
    found = await person.servers.GetServer(server_service_pb2.GetServerRequest(id=server.id))
    status = resources_pb2.ServerStatus.Name(found.status).removeprefix("SERVER_STATUS_")
    assert status not in TRANSITIONAL
    if ended.state == operation_pb2.OPERATION_STATE_SUCCEEDED:
        assert status == "ACTIVE"
        await person.console_says(server.id, "weft-guest: READY", within=PATIENCE)
    else:
        assert status == "ERROR"
        assert found.status_reason
    await person.delete(server.id)


async def no_trace(cloud: Cloud) -> None:
    """Nothing is left of any server."""
    for look in (leftovers.domains, leftovers.guests, leftovers.allocated):
        for _ in range(60):
            if not (left := await look(cloud.layout)):
                break
            await asyncio.sleep(0.5)
        assert left == []


@pytest.mark.parametrize("part", ["control", "h1"])
async def test_boots_whose_process_is_killed_end_whole_or_undone(one_host: Cloud, part: str) -> None:
    async with one_host.person(f"crash-{part}") as person:
        network, image = await person.network("10.7.0.0/24"), await person.image()
        request = server_service_pb2.CreateServerRequest(
            name="unlucky",
            flavor_id=await person.flavor(),
            image_id=image,
            networks=[{"network_id": network}],
        )

        async def begun(moment: float) -> resources_pb2.Server:
            await asyncio.sleep(max(MOMENTS) - moment)
            return await person.servers.CreateServer(request)

        servers = await asyncio.gather(*(begun(moment) for moment in MOMENTS))
        await asyncio.sleep(min(MOMENTS))
        os.kill(one_host.pid(part), signal.SIGKILL)
        await asyncio.to_thread(one_host.up)
        await asyncio.gather(*(nothing_half_made(person, server) for server in servers))
    await no_trace(one_host)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="where control is one process: one processor")
async def test_control_ends_as_a_whole_when_one_of_its_processes_dies_and_begins_again(
    one_host: Cloud,
) -> None:
    async with one_host.person("half") as person:
        server = await person.boot(
            name="half", flavor_id=await person.flavor(), image_id=await person.image(), no_network=True
        )
        control = one_host.pid("control")
        halves = children(control)
        assert set(halves.values()) == {"control-1", "control-2"}
        os.kill(max(halves), signal.SIGKILL)
        for _ in range(600):
            if not any(map(alive, (control, *halves))):
                break
            await asyncio.sleep(0.1)
        assert not any(map(alive, (control, *halves)))
        await asyncio.to_thread(one_host.up)
        found = await person.servers.GetServer(server_service_pb2.GetServerRequest(id=server.id))
        assert found.status == resources_pb2.SERVER_STATUS_ACTIVE
        await person.delete(server.id)


async def test_a_guest_runs_on_while_control_gateway_and_agent_are_dead(one_host: Cloud) -> None:
    async with one_host.person("survivor") as person:
        server = await person.boot(
            name="survivor", flavor_id=await person.flavor(), image_id=await person.image(), no_network=True
        )
        before = await leftovers.guests(one_host.layout)
        assert before
        for part in ("control", "gateway", "h1"):
            os.kill(one_host.pid(part), signal.SIGKILL)
        await asyncio.sleep(2)
        assert await leftovers.guests(one_host.layout) == before
        await asyncio.to_thread(one_host.up)
        found = await person.servers.GetServer(server_service_pb2.GetServerRequest(id=server.id))
        assert found.status == resources_pb2.SERVER_STATUS_ACTIVE
        await person.delete(server.id)


def test_a_port_in_use_is_said_before_anything_is_begun() -> None:
    with tempfile.TemporaryDirectory(prefix="wt-") as folder, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        state = Path(folder) / "c"
        done = weft("up", "--state", str(state), "--port", str(port), "--detach", check=False)
        assert done.returncode == 1
        assert f"port {port}" in done.stderr
        assert "in use" in done.stderr
        assert not state.exists()
