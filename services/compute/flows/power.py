"""A server is started, stopped, restarted: one step each, on its host.

flow             step            does                                       undo
server.start     start guest     waits for wires, and until it runs         power off
server.stop      stop guest      by ACPI, by force after the grace period   - (it is off or not)
server.reboot    reboot guest    a guest that does not run is started       -
"""

from typing import Any

from google.protobuf.duration_pb2 import Duration

from mesh import clock
from mesh.database import Connection
from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.compute.flows import endings
from services.compute.nodes import reaching
from weft.node.v1.guest_service_pb2 import RebootGuestRequest, StartGuestRequest, StopGuestRequest

_START = 180.0
# The longest grace that the contract allows, and time to power off after it.
_STOP = 600.0 + 60.0


async def start_guest(run: Run) -> None:
    """Answered when it runs."""
    await start_on(run, run.input["host_id"])


async def power_off(run: Run) -> None:
    """Off at once, as it was."""
    await stop_on(run, run.input["host_id"], 0.0)


async def stop_guest(run: Run) -> None:
    """Answered when it is off."""
    await stop_on(run, run.input["host_id"], run.input["grace_seconds"])


async def reboot_guest(run: Run) -> None:
    """A guest that does not run as it should is powered off, if it must be, and started."""
    if run.input["previous_status"] != "ACTIVE":
        await power_off(run)
        await start_guest(run)
        return
    host_id = run.input["host_id"]
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        request = RebootGuestRequest(server_id=run.target_id, hard=run.input["hard"])
        await stub.RebootGuest(request, timeout=_START)


def running(connection: Connection, run: Run) -> None:
    """The guest runs."""
    endings.succeed(connection, run, status="ACTIVE", guest_state="RUNNING", launched_at=clock.now())


def off(connection: Connection, run: Run) -> None:
    """The guest is off."""
    endings.succeed(connection, run, status="STOPPED", guest_state="SHUTOFF")


async def start_on(run: Run, host_id: str) -> None:
    """Start the server's guest on that host; answered when it runs."""
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        await stub.StartGuest(StartGuestRequest(server_id=run.target_id), timeout=_START)


async def try_to_start_on(run: Run, host_id: str) -> dict[str, Any]:
    """The same past a commit point. A guest that cannot be started is no reason to try for ever: it is off,
    and the answer says why not.
    """
    try:
        await start_on(run, host_id)
    except CloudError as error:
        if error.retryable:
            raise
        return {"why_not": error.message}
    return {}


async def stop_on(run: Run, host_id: str, grace_seconds: float) -> None:
    """Answered when the server's guest on that host is off, or is not there."""
    grace = Duration()
    grace.FromMilliseconds(int(grace_seconds * 1000))
    try:
        with reaching(host_id):
            stub = await run.app.nodes.guests(host_id)
            await stub.StopGuest(StopGuestRequest(server_id=run.target_id, grace=grace), timeout=_STOP)
    except CloudError as error:
        if error.reason != "NOT_FOUND":
            raise


START = Flow(
    kind="server.start",
    target_type="server",
    steps=(Step("start guest", start_guest, power_off, _START),),
    deadline=600,
    failed=endings.fail,
    finished=running,
)
STOP = Flow(
    kind="server.stop",
    target_type="server",
    steps=(Step("stop guest", stop_guest, None, _STOP),),
    deadline=900,
    failed=endings.fail,
    finished=off,
)
REBOOT = Flow(
    kind="server.reboot",
    target_type="server",
    steps=(Step("reboot guest", reboot_guest, None, _START),),
    deadline=600,
    failed=endings.fail,
    finished=running,
)
