"""A server is frozen and let run on, in memory or by way of the disk: one step each, on its host.

flow              step             does                                          undo
server.pause      pause guest      its processors stand still                    let it run on
server.unpause    unpause guest    they go on                                    - (it does or not)
server.suspend    suspend guest    its memory is written to the host's disk      let it run on
server.resume     resume guest     waits for wires, reads it back, and it runs   - (as it is seen)
"""

from typing import Any

from mesh import clock
from mesh.database import Connection
from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.compute.flows import endings
from services.compute.flows.power import start_guest
from services.compute.nodes import reaching
from weft.node.v1.guest_service_pb2 import PauseGuestRequest, SuspendGuestRequest, UnpauseGuestRequest

_PAUSE = 30.0
# As long as the memory takes to the disk and back.
_SUSPEND = 600.0


async def pause(run: Run) -> None:
    """Answered when it stands still."""
    await _ask(run, "PauseGuest", PauseGuestRequest(server_id=run.target_id), _PAUSE)


async def unpause(run: Run) -> None:
    """Answered when it goes on."""
    await _ask(run, "UnpauseGuest", UnpauseGuestRequest(server_id=run.target_id), _PAUSE)


async def run_on(run: Run) -> None:
    """It runs as before; one that is off by now is left so."""
    try:
        await unpause(run)
    except CloudError as error:
        if error.reason not in ("WRONG_STATUS", "NOT_FOUND"):
            raise


async def suspend(run: Run) -> None:
    """Answered when its memory is on the disk."""
    await _ask(run, "SuspendGuest", SuspendGuestRequest(server_id=run.target_id), _SUSPEND)


async def _ask(run: Run, rpc: str, request: Any, timeout: float) -> None:
    host_id = run.input["host_id"]
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        await getattr(stub, rpc)(request, timeout=timeout)


def paused(connection: Connection, run: Run) -> None:
    """It stands still."""
    endings.succeed(connection, run, status="PAUSED", guest_state="PAUSED")


def suspended(connection: Connection, run: Run) -> None:
    """It is off, with its memory on the disk."""
    endings.succeed(connection, run, status="SUSPENDED", guest_state="SHUTOFF")


def running(connection: Connection, run: Run) -> None:
    """It runs on from where it was."""
    endings.succeed(connection, run, status="ACTIVE", guest_state="RUNNING")


def resumed(connection: Connection, run: Run) -> None:
    """It runs on, in a new process."""
    endings.succeed(connection, run, status="ACTIVE", guest_state="RUNNING", launched_at=clock.now())


def _flow(kind: str, step: Step, finished: Any) -> Flow:
    return Flow(
        kind=kind,
        target_type="server",
        steps=(step,),
        deadline=900,
        failed=endings.fail,
        finished=finished,
    )


PAUSE = _flow("server.pause", Step("pause guest", pause, run_on, _PAUSE), paused)
UNPAUSE = _flow("server.unpause", Step("unpause guest", unpause, None, _PAUSE), running)
SUSPEND = _flow("server.suspend", Step("suspend guest", suspend, start_guest, _SUSPEND), suspended)
RESUME = _flow("server.resume", Step("resume guest", start_guest, None, _SUSPEND), resumed)
