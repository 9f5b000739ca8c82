"""A server is made: from a claim on a host to a running guest.

    step                 does                                             undo
    claim host           placement's candidates, filtered and weighed     give the claim back
    create ports         on the host, which begins to wire them           delete them
    bind ports           those that were there before                     unbind them
    create boot volume   from an image, near the host, where asked for    delete it
    reserve volumes      makes them reachable from the host               release them
    stage image          into the host's cache                            - (a cache)
    define guest         disks and domain                                 delete them
    start guest          waits for wires, and until it runs               power off
    confirm volumes      the guest has them; the commit point             -

A host that fails at its image, disks, hypervisor or wires is excluded, and the boot goes on from the claim.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mesh import clock
from mesh.database import Connection
from mesh.errors import CloudError
from mesh.flow import Flow, Reschedule, Run, Step
from services.compute import guest
from services.compute.flows import attachments, claims, endings, ports, staging
from services.compute.flows.app import GRACE
from services.compute.nodes import reaching
from services.compute.store import servers
from weft.node.v1.guest_service_pb2 import (
    DefineGuestRequest,
    DeleteGuestRequest,
    StartGuestRequest,
    StopGuestRequest,
)

# What goes wrong on one host and may go well on another.
_FAULTS_OF_A_HOST = frozenset(
    {"HOST_UNAVAILABLE", "HYPERVISOR_FAILED", "STORAGE_FULL", "PORT_NOT_WIRED", "DEADLINE_EXCEEDED"}
)
_DEFINE, _START = 180.0, 180.0


async def claim_host(run: Run) -> dict[str, Any]:
    """Claim room on the best host. NO_VALID_HOST names every filter and how many hosts each removed."""
    input = run.input
    excluded = frozenset(item["host_id"] for item in run.excluded)
    ask = claims.Ask(
        run.target_id,
        input["needs"],
        input["host_id"],
        input["availability_zone"],
        excluded,
        input.get("server_group_id", ""),
        tuple(input.get("same_host_server_ids", ())),
        tuple(input.get("different_host_server_ids", ())),
    )
    try:
        return await claims.claim(run, ask)
    except CloudError as error:
        raise _with_history(run, error) from error


async def unclaim_host(run: Run) -> None:
    """Give back what this operation holds."""
    await claims.unclaim(run, run.target_id)


def has_image(run: Run) -> bool:
    """Whether its root disk is made from an image."""
    return run.input["image"] is not None


async def stage_image(run: Run) -> None:
    """Have the image in the host's cache."""
    host_id = run.outputs["claim host"]["host_id"]
    with _blaming(host_id):
        await staging.stage(run, host_id)


async def define_guest(run: Run) -> dict[str, Any]:
    """Make its disks and its domain; answer the devices that its volumes got."""
    host_id = run.outputs["claim host"]["host_id"]
    row, user_data = await run.app.database.peek(_row_and_user_data, run.target_id)
    spec = guest.spec(
        row,
        user_data,
        operation_id=run.operation_id,
        image=run.input["image"],
        ports=ports.made(run),
        volumes=attachments.reserved(run),
    )
    with _blaming(host_id), reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        made = await stub.DefineGuest(DefineGuestRequest(guest=spec), timeout=_DEFINE)
    return {"devices": {volume.attachment_id: volume.device for volume in made.volumes}}


async def delete_guest(run: Run) -> None:
    """Destroy it with its disks; a host that was written off has none."""
    host_id = run.outputs["claim host"]["host_id"]
    if not await run.app.nodes.written_off(host_id):
        with reaching(host_id):
            stub = await run.app.nodes.guests(host_id)
            await stub.DeleteGuest(DeleteGuestRequest(server_id=run.target_id), timeout=_DEFINE)


async def start_guest(run: Run) -> None:
    """Start it; answered when its ports are wired and it runs."""
    host_id = run.outputs["claim host"]["host_id"]
    with _blaming(host_id), reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        await stub.StartGuest(StartGuestRequest(server_id=run.target_id), timeout=_START)


async def power_off(run: Run) -> None:
    """Off at once: nobody has used it yet."""
    host_id = run.outputs["claim host"]["host_id"]
    if await run.app.nodes.written_off(host_id):
        return
    try:
        with reaching(host_id):
            stub = await run.app.nodes.guests(host_id)
            await stub.StopGuest(StopGuestRequest(server_id=run.target_id))
    except CloudError as error:
        if error.reason != "NOT_FOUND":
            raise


def booted(connection: Connection, run: Run) -> None:
    """The server is ACTIVE, and its row says where it is and what it has."""
    host = run.outputs["claim host"]
    endings.succeed(
        connection,
        run,
        status="ACTIVE",
        guest_state="RUNNING",
        host_id=host["host_id"],
        host_name=host["host_name"],
        ports=[ports.kept(port) for port in ports.made(run)],
        volumes=[_kept_volume(volume, run) for volume in attachments.reserved(run)],
        launched_at=clock.now(),
    )


def _with_history(run: Run, error: CloudError) -> CloudError:
    """No host, and why the hosts that were tried failed."""
    if error.reason != "NO_VALID_HOST" or not run.excluded:
        return error
    tried = " ".join(item["why"] for item in run.excluded)
    filters, count = error.metadata["filters"], error.metadata["hosts"]
    message = f"{error.message} Tried before: {tried}"
    return CloudError("NO_VALID_HOST", message, filters=filters, hosts=count)


@contextmanager
def _blaming(host_id: str) -> Iterator[None]:
    """Within the block a host is asked: what it cannot do is a reason to try another."""
    try:
        yield
    except CloudError as error:
        if error.reason not in _FAULTS_OF_A_HOST:
            raise
        exclude = {"host_id": host_id, "why": error.message}
        raise Reschedule(to="claim host", exclude=exclude, cause=error) from error


def _row_and_user_data(connection: Connection, id: str) -> tuple[Any, bytes]:
    return servers.get(connection, id, None), servers.user_data_of(connection, id)


def _kept_volume(volume: dict[str, Any], run: Run) -> dict[str, Any]:
    kept = {key: value for key, value in volume.items() if key != "connection"}
    return kept | {"device": run.outputs["define guest"]["devices"].get(volume["attachment_id"], "")}


BOOT = Flow(
    kind="server.boot",
    target_type="server",
    steps=(
        Step("claim host", claim_host, unclaim_host, grace=GRACE),
        Step("create ports", ports.create, ports.uncreate, grace=GRACE, when=ports.has_some),
        Step("bind ports", ports.bind, ports.unbind, grace=GRACE, when=ports.has_unbound),
        Step(
            "create boot volume",
            attachments.create_boot_volume,
            attachments.uncreate_boot_volume,
            deadline=900,
            when=attachments.makes_one,
        ),
        Step(
            "reserve volumes",
            attachments.reserve,
            attachments.unreserve,
            deadline=120,
            grace=GRACE,
            when=attachments.has_some,
        ),
        Step("stage image", stage_image, None, staging.SECONDS, when=has_image),
        Step("define guest", define_guest, delete_guest, _DEFINE),
        Step("start guest", start_guest, power_off, _START),
        Step("confirm volumes", attachments.confirm, when=attachments.has_some),
    ),
    deadline=3600,
    commit="confirm volumes",
    failed=endings.fail,
    finished=booted,
)
