"""A server's own disks are made anew from an image: under its id, on its host, with its ports and volumes.

step            does                                                              undo
stage image     into the host's cache                                             - (a cache)
rebuild guest   kills it, makes disks and domain anew; the commit point           - (what was there is lost)
start guest     waits for wires, and until it runs; unless it was STOPPED         -

What the server is to be told with its new disks is kept apart until the commit point: the row changes with
the end of the operation. One that fails in the middle is what its guest shows, and can be rebuilt again.
"""

from types import SimpleNamespace
from typing import Any

from mesh import clock
from mesh.database import Connection
from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.compute import guest
from services.compute.flows import endings, power, staging
from services.compute.nodes import reaching
from services.compute.store import passwords, servers
from weft.node.v1.guest_service_pb2 import RebuildGuestRequest

_REBUILD, _START = 180.0, 180.0


async def stage_image(run: Run) -> None:
    """Have the image in the host's cache."""
    await staging.stage(run, run.input["host_id"])


async def rebuild_guest(run: Run) -> None:
    """Make its disks and its domain anew; the new guest may leave a password of its own."""
    row, user_data = await run.app.database.read(_to_be, run)
    spec = guest.spec(
        row, user_data, operation_id=run.operation_id, image=run.input["image"], ports=(), volumes=()
    )
    host_id = run.input["host_id"]
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        await stub.RebuildGuest(RebuildGuestRequest(guest=spec), timeout=_REBUILD)
    await run.app.database.write(passwords.forget, run.target_id)


def is_to_run(run: Run) -> bool:
    """Whether it is started afterwards."""
    return run.input["previous_status"] != "STOPPED"


async def start_guest(run: Run) -> dict[str, Any]:
    """Start it, where it can be started."""
    return await power.try_to_start_on(run, run.input["host_id"])


def rebuilt(connection: Connection, run: Run) -> None:
    """The server is what was asked for."""
    if run.input["new_user_data"]:
        content = servers.user_data_of(connection, run.operation_id)
        servers.keep_user_data(connection, run.target_id, content)
        servers.keep_user_data(connection, run.operation_id, b"")
    why_not = run.outputs.get("start guest", {}).get("why_not", "")
    runs = is_to_run(run) and not why_not
    values = dict(run.input["changes_of_server"]) | ({"launched_at": clock.now()} if runs else {})
    endings.succeed(
        connection,
        run,
        status="ACTIVE" if runs else "STOPPED",
        guest_state="RUNNING" if runs else "SHUTOFF",
        reason=why_not,
        **values,
    )


def not_rebuilt(connection: Connection, run: Run, error: CloudError) -> None:
    """The server is what its guest shows."""
    servers.keep_user_data(connection, run.operation_id, b"")
    endings.fail(connection, run, error)


def _to_be(connection: Connection, run: Run) -> tuple[Any, bytes]:
    row = servers.get(connection, run.target_id, None)
    whose = run.operation_id if run.input["new_user_data"] else run.target_id
    changed = {**row._mapping, **run.input["changes_of_server"]}
    return SimpleNamespace(**changed), servers.user_data_of(connection, whose)


REBUILD = Flow(
    kind="server.rebuild",
    target_type="server",
    steps=(
        Step("stage image", stage_image, None, staging.SECONDS),
        Step("rebuild guest", rebuild_guest, None, _REBUILD),
        Step("start guest", start_guest, None, _START, when=is_to_run),
    ),
    deadline=3600,
    commit="rebuild guest",
    failed=not_rebuilt,
    finished=rebuilt,
)
