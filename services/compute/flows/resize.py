"""A server gets another flavor, on its host or another; or the same on another.

step              does                                                         undo
claim host        room besides what it has: here the difference, else all      give it back
stop guest        by ACPI, by force after a minute                             start it
resize guest      here: another size, disks kept aside as they were            make it what it was
offer disks       elsewhere: the old host serves them                          serve them no more
move volumes      elsewhere: from the old guest to the new host                back
define guest      elsewhere: with copies of the disks                          delete it
withdraw disks    elsewhere: the old host serves them no more                  -
move ports        elsewhere: to the new host, which begins to wire them        back
start guest       where it ran                                                 power off
confirm volumes   elsewhere: the new guest has them; the commit point          -

What there was stays on the old host, or aside, and keeps its claim, until the resize is confirmed or
reverted.
"""

from types import SimpleNamespace
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from mesh import clock
from mesh.database import Connection
from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.compute import guest
from services.compute.flows import app, claims, endings, moves, power
from services.compute.model import GIB
from services.compute.nodes import reaching
from services.compute.store import servers
from weft.node.v1.guest_service_pb2 import (
    DefineGuestRequest,
    ExportGuestRequest,
    ExportGuestResponse,
    ResizeGuestRequest,
    RevertGuestRequest,
    UnexportGuestRequest,
)
from weft.node.v1.resources_pb2 import GuestSpec

# The guest has so long to shut down, in seconds.
GRACE = 60.0
# As long as the largest disks take.
_COPY = 3600.0
_START = 180.0
_STOP = 120.0


async def claim_host(run: Run) -> dict[str, Any]:
    """Claim on its own host what it needs more, or else all of it on another. NO_VALID_HOST."""
    has = await _amounts(run, run.target_id)
    resources = run.input["needs"]["resources"]
    # Disks never shrink, whatever the flavor says.
    resources = {**resources, "DISK_GB": max(resources.get("DISK_GB", 0), has.get("DISK_GB", 0))}
    needs = {**run.input["needs"], "resources": {name: n for name, n in resources.items() if n}}
    more = {name: n - has.get(name, 0) for name, n in needs["resources"].items() if n > has.get(name, 0)}
    here = {"host_id": run.input["host_id"], "host_name": run.input["host_name"]}
    if run.input["same_host"] and not more:
        return {**here, "moved": False, "resources": needs["resources"]}
    found = await _claim(run, needs, more)
    return {**found, "moved": found["host_id"] != run.input["host_id"], "resources": needs["resources"]}


async def unclaim_host(run: Run) -> None:
    """It has what it had."""
    await claims.unclaim(run, run.input["claim_id"], run.input["host_id"])


def was_running(run: Run) -> bool:
    """Whether the guest ran before."""
    return run.input["previous_status"] == "ACTIVE"


async def resize_guest(run: Run) -> None:
    """Give the guest another size where it is."""
    if _moved(run):
        return
    flavor = run.input["flavor"]
    request = ResizeGuestRequest(
        server_id=run.target_id,
        vcpus=flavor["vcpus"],
        memory_mib=flavor["memory_mib"],
        root_bytes=flavor["disk_gib"] * GIB,
        ephemeral_bytes=flavor["ephemeral_gib"] * GIB,
        operation_id=run.operation_id,
    )
    await _ask(run, run.input["host_id"], "ResizeGuest", request)


async def revert_guest(run: Run) -> None:
    """Make it what it was."""
    if not _moved(run):
        await _ask(run, run.input["host_id"], "RevertGuest", RevertGuestRequest(server_id=run.target_id))


async def offer_disks(run: Run) -> dict[str, Any]:
    """Have the old host serve its disks; answer how, and what the guest is there."""
    if not _moved(run):
        return {}
    request = ExportGuestRequest(server_id=run.target_id)
    return {"offer": MessageToDict(await _ask(run, run.input["host_id"], "ExportGuest", request))}


async def withdraw_disks(run: Run) -> None:
    """Have it serve them no more."""
    if _moved(run):
        request = UnexportGuestRequest(server_id=run.target_id)
        await _ask(run, run.input["host_id"], "UnexportGuest", request)


async def move_volumes(run: Run) -> dict[str, Any]:
    """From the old guest to the new host; answer how that reaches each."""
    if not _moved(run):
        return {"volumes": run.input["volumes"]}
    moved, there = [], _host_id(run)
    for volume in run.input["volumes"]:
        await moves.take(run, volume, run.input["host_id"])
        await moves.release(run, volume["attachment_id"])
        moved.append(await moves.reserve(run, volume, moves.attachment_on(run, volume, there), there))
    return {"volumes": moved}


async def return_volumes(run: Run) -> None:
    """To the old guest again."""
    if _moved(run):
        for volume in run.input["volumes"]:
            await moves.release(run, moves.attachment_on(run, volume, _host_id(run)))
            await moves.give(run, volume, run.input["host_id"])


async def define_guest(run: Run) -> None:
    """Fetch its disks to the new host, and make it there in its new size."""
    if not _moved(run):
        return
    row, user_data = await run.app.database.peek(_row_and_user_data, run.target_id)
    offer = ParseDict(run.outputs["offer disks"]["offer"], ExportGuestResponse())
    request = DefineGuestRequest(guest=_spec(run, row, user_data, offer))
    await _ask(run, _host_id(run), "DefineGuest", request)


async def delete_guest(run: Run) -> None:
    """There is nothing of it on the new host."""
    if _moved(run):
        await moves.delete_guest(run, _host_id(run))


async def move_ports(run: Run) -> None:
    """To the new host."""
    if _moved(run):
        await moves.ports(run, run.input["ports"], run.input["host_id"], _host_id(run))


async def return_ports(run: Run) -> None:
    """To the old one."""
    if _moved(run):
        await moves.ports(run, run.input["ports"], _host_id(run), run.input["host_id"])


async def start_guest(run: Run) -> None:
    """Answered when it runs."""
    await power.start_on(run, _host_id(run))


async def power_off(run: Run) -> None:
    """Off at once."""
    await power.stop_on(run, _host_id(run), 0.0)


async def confirm_volumes(run: Run) -> None:
    """Say that the new guest has them."""
    if _moved(run):
        for volume in run.outputs["move volumes"]["volumes"]:
            await moves.confirm(run, volume)


def resized(connection: Connection, run: Run) -> None:
    """It is what was asked for, and waits to be confirmed or reverted."""
    runs, host = was_running(run), run.outputs["claim host"]
    volumes = [
        {key: value for key, value in volume.items() if key != "connection"}
        for volume in run.outputs["move volumes"]["volumes"]
    ]
    endings.succeed(
        connection,
        run,
        status="VERIFY_RESIZE",
        guest_state="RUNNING" if runs else "SHUTOFF",
        host_id=host["host_id"],
        host_name=host["host_name"],
        flavor_id=run.input["flavor"]["id"],
        flavor=run.input["flavor"],
        volumes=volumes,
        resize=_before(run),
        metadata_due=True,
        **({"launched_at": clock.now()} if runs else {}),
    )


def not_resized(connection: Connection, run: Run, error: CloudError) -> None:
    """It is what it was."""
    old = run.input["old_flavor"]
    endings.fail(
        connection, run, error, vcpus=old["vcpus"], memory_mib=old["memory_mib"], spare_claim_id=None
    )


def _before(run: Run) -> dict[str, Any]:
    """What it was, for its confirmation and its reversal."""
    return {
        "flavor": run.input["old_flavor"],
        "host_id": run.input["host_id"],
        "host_name": run.input["host_name"],
        "volumes": run.input["volumes"],
        "ran": was_running(run),
        "moved": _moved(run),
        "resources": run.outputs["claim host"]["resources"],
        "at": clock.now().isoformat(),
    }


async def _claim(run: Run, needs: dict[str, Any], more: dict[str, int]) -> dict[str, Any]:
    old, claim_id = run.input["host_id"], run.input["claim_id"]
    if run.input["same_host"]:
        try:
            return await claims.claim(run, claims.Ask(claim_id, {**needs, "resources": more}, old))
        except CloudError as error:
            if error.reason != "NO_VALID_HOST":
                raise
    group_id = run.input.get("server_group_id", "")
    where = run.input["target_id"], run.input["availability_zone"], frozenset({old}), group_id
    return await claims.claim(run, claims.Ask(claim_id, needs, *where))


async def _amounts(run: Run, consumer_id: str) -> dict[str, int]:
    """What a consumer has in all, by resource class."""
    found: dict[str, int] = {}
    for allocation in (await claims.held_by(run, consumer_id)).allocations:
        for name, amount in allocation.resources.items():
            found[name] = found.get(name, 0) + amount
    return found


def _spec(run: Run, row: Any, user_data: bytes, offer: ExportGuestResponse) -> GuestSpec:
    flavor = run.input["flavor"]
    size = {"flavor": flavor, "vcpus": flavor["vcpus"], "memory_mib": flavor["memory_mib"]}
    spec = guest.spec(
        SimpleNamespace(**{**row._mapping, **size}),
        user_data,
        operation_id=run.operation_id,
        image=None,
        ports=(),
        volumes=(),
    )
    spec.ports.extend(offer.ports)
    spec.volumes.extend(moves.guest_volume(v) for v in run.outputs["move volumes"]["volumes"])
    spec.copy.CopyFrom(offer.copy)
    if offer.HasField("root_disk"):
        spec.root_disk.CopyFrom(offer.root_disk)
        spec.root_disk.size_bytes = max(spec.root_disk.size_bytes, flavor["disk_gib"] * GIB)
    return spec


def _row_and_user_data(connection: Connection, id: str) -> tuple[Any, bytes]:
    return servers.get(connection, id, None), servers.user_data_of(connection, id)


async def _ask(run: Run, host_id: str, rpc: str, request: Any) -> Any:
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        return await getattr(stub, rpc)(request, timeout=_COPY)


def _host_id(run: Run) -> str:
    return run.outputs["claim host"]["host_id"]


def _moved(run: Run) -> bool:
    return run.outputs["claim host"]["moved"]


RESIZE = Flow(
    kind="server.resize",
    target_type="server",
    steps=(
        Step("claim host", claim_host, unclaim_host, grace=app.GRACE),
        Step("stop guest", power.stop_guest, power.start_guest, _STOP + _START, when=was_running),
        Step("resize guest", resize_guest, revert_guest, _COPY),
        Step("offer disks", offer_disks, withdraw_disks, 120),
        Step("move volumes", move_volumes, return_volumes, 300, grace=app.GRACE),
        Step("define guest", define_guest, delete_guest, _COPY),
        Step("withdraw disks", withdraw_disks, None, 120),
        Step("move ports", move_ports, return_ports, grace=app.GRACE),
        Step("start guest", start_guest, power_off, _START, when=was_running),
        Step("confirm volumes", confirm_volumes),
    ),
    deadline=7200,
    commit="confirm volumes",
    failed=not_resized,
    finished=resized,
)
