"""Processes killed with -9 in the middle of a boot, and a machine that is not as it should be."""

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
from weft.compute.v1 import resources_pb2, server_service_pb2
from weft.operation.v1 import operation_pb2

TRANSITIONAL = ("BUILDING", "STARTING", "STOPPING", "REBOOTING", "DELETING")
# Seconds after the request at which a process dies: during the claim, the ports, the disk, the start.
MOMENTS = (0.05, 0.3, 1.0, 2.5)


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


async def nothing_half_made(
    cloud: Cloud, person: Person, server_id: str, ended: operation_pb2.Operation
) -> None:
    """Running and whole, or in ERROR with all undone; and deleted without a trace in either case."""
    found = await person.servers.GetServer(server_service_pb2.GetServerRequest(id=server_id))
    status = resources_pb2.ServerStatus.Name(found.status).removeprefix("SERVER_STATUS_")
    assert status not in TRANSITIONAL
    if ended.state == operation_pb2.OPERATION_STATE_SUCCEEDED:
        assert status == "ACTIVE"
        await person.console_says(server_id, "weft-guest: READY")
    else:
        assert status == "ERROR"
        assert found.status_reason
    await person.delete(server_id)
    for look in (leftovers.domains, leftovers.guests, leftovers.allocated):
        for _ in range(60):
            if not (left := await look(cloud.layout)):
                break
            await asyncio.sleep(0.5)
        assert left == []


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("part", ["control", "h1"])
async def test_a_boot_whose_process_is_killed_ends_whole_or_undone(
    one_host: Cloud, part: str, moment: float
) -> None:
    async with one_host.person(f"crash-{part}-{moment}") as person:
        network, image = await person.network("10.7.0.0/24"), await person.image()
        server = await person.servers.CreateServer(
            server_service_pb2.CreateServerRequest(
                name="unlucky",
                flavor_id=await person.flavor(),
                image_id=image,
                networks=[{"network_id": network}],
            )
        )
        await asyncio.sleep(moment)
        os.kill(one_host.pid(part), signal.SIGKILL)
        await asyncio.to_thread(one_host.up)
        await nothing_half_made(one_host, person, server.id, await settled(person, server))


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
