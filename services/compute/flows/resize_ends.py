"""A resize is confirmed: what was kept of before goes; or reverted: it is what the server is again.

flow                    step                does                                              undo
server.confirm_resize   remove what was     the old guest, or disks kept aside; commit point  -
                        settle claim        the server has what it needs now, all at once     -
server.revert_resize    stop guest          by ACPI, by force after a minute                  start it
                        take back guest     delete the new one, or give disks and size back;  -
                                            the commit point
                        return ports        to the old host                                   -
                        return volumes      to the old guest                                  -
                        start guest         where it ran before                               -
                        free claim          gives back what the resize had claimed            -
"""

from typing import Any

from mesh import clock
from mesh.caller import Caller
from mesh.database import Connection, Row
from mesh.flow import Flow, Run, Step
from services.compute import model
from services.compute.flows import claims, endings, moves, power
from services.compute.flows.resize import GRACE
from services.compute.nodes import reaching
from services.compute.store import server_groups, servers
from weft.node.v1.guest_service_pb2 import ConfirmGuestRequest, RevertGuestRequest
from weft.placement.v1.allocation_service_pb2 import DeleteAllocationsRequest
from weft.placement.v1.resources_pb2 import Allocation, Consumer

_GUEST, _START, _STOP = 120.0, 180.0, 120.0


def begin_end(connection: Connection, row: Row[Any], caller: Caller, flow: Flow, status: str) -> Row[Any]:
    """Begin to confirm or to revert what the server's row says of its resize; the row as it is then."""
    return endings.begin(
        connection,
        row,
        flow,
        status,
        caller,
        host_id=row.host_id,
        claim_id=row.spare_claim_id,
        resize=row.resize,
        ports=row.ports,
        volumes=row.volumes,
        runs=row.guest_state == "RUNNING",
        grace_seconds=GRACE,
    )


async def remove_what_was(run: Run) -> None:
    """The old host has nothing of it, or its host nothing aside."""
    before, host_id = run.input["resize"], run.input["host_id"]
    if before["moved"]:
        await moves.delete_guest(run, before["host_id"])
        return
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        await stub.ConfirmGuest(ConfirmGuestRequest(server_id=run.target_id), timeout=_GUEST)


async def settle_claim(run: Run) -> None:
    """The server's claim is what it needs now; the one beside it is gone."""
    old = await claims.held_by(run, run.target_id)
    spare = await claims.held_by(run, run.input["claim_id"])
    settled = _settled(run, old, spare)
    if settled is not None:
        await claims.replace(run, settled, claims.consumer(run, run.input["claim_id"]))


def _settled(run: Run, old: Consumer, spare: Consumer) -> Consumer | None:
    """None when that was done before."""
    after, before = claims.consumer(run, run.target_id), run.input["resize"]
    after.operation_id = old.operation_id
    if before["moved"]:
        after.allocations.extend(spare.allocations)
        return after if spare.allocations else None
    classes: dict[str, set[str]] = {}
    for allocation in (*old.allocations, *spare.allocations):
        classes.setdefault(allocation.provider_id, set()).update(allocation.resources)
    for provider_id, names in classes.items():
        amounts = {name: before["resources"][name] for name in names if before["resources"].get(name)}
        after.allocations.append(Allocation(provider_id=provider_id, resources=amounts))
    return after


def confirmed(connection: Connection, run: Run) -> None:
    """It is what it is."""
    row = servers.find(connection, run.target_id, lock=True)
    if row is not None:
        server_groups.stay(connection, row.id, row.host_id)
        size = {"vcpus": row.flavor["vcpus"], "memory_mib": row.flavor["memory_mib"]}
        status = model.BY_GUEST_STATE.get(row.guest_state, "ERROR")
        endings.succeed(connection, run, status=status, resize={}, spare_claim_id=None, **size)


def runs(run: Run) -> bool:
    """Whether the guest ran when its resize was to be reverted."""
    return run.input["runs"]


async def take_back_guest(run: Run) -> None:
    """Nothing is left of what the resize made."""
    before, host_id = run.input["resize"], run.input["host_id"]
    if before["moved"]:
        await moves.delete_guest(run, host_id)
        return
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        await stub.RevertGuest(RevertGuestRequest(server_id=run.target_id), timeout=_GUEST)


async def return_ports(run: Run) -> None:
    """To the old host."""
    before = run.input["resize"]
    if before["moved"]:
        await moves.ports(run, run.input["ports"], run.input["host_id"], before["host_id"])


async def return_volumes(run: Run) -> None:
    """To the old guest."""
    before = run.input["resize"]
    if before["moved"]:
        for new, old in zip(run.input["volumes"], before["volumes"], strict=True):
            await moves.release(run, new["attachment_id"])
            await moves.give(run, old, before["host_id"])


def ran_before(run: Run) -> bool:
    """Whether it is to run again."""
    return run.input["resize"]["ran"]


async def start_guest(run: Run) -> dict[str, Any]:
    """On the old host, where it can be started."""
    return await power.try_to_start_on(run, run.input["resize"]["host_id"])


async def free_claim(run: Run) -> None:
    """It has what it had."""
    request = DeleteAllocationsRequest(consumer_id=run.input["claim_id"])
    await claims.allocations(run).DeleteAllocations(request)


def reverted(connection: Connection, run: Run) -> None:
    """It is what it was."""
    before, why_not = run.input["resize"], run.outputs.get("start guest", {}).get("why_not", "")
    server_groups.stay(connection, run.target_id, before["host_id"])
    started = before["ran"] and not why_not
    endings.succeed(
        connection,
        run,
        status="ACTIVE" if started else "STOPPED",
        guest_state="RUNNING" if started else "SHUTOFF",
        reason=why_not,
        host_id=before["host_id"],
        host_name=before["host_name"],
        flavor_id=before["flavor"]["id"],
        flavor=before["flavor"],
        vcpus=before["flavor"]["vcpus"],
        memory_mib=before["flavor"]["memory_mib"],
        volumes=before["volumes"],
        resize={},
        spare_claim_id=None,
        metadata_due=True,
        **({"launched_at": clock.now()} if started else {}),
    )


CONFIRM = Flow(
    kind="server.confirm_resize",
    target_type="server",
    steps=(
        Step("remove what was", remove_what_was, None, _GUEST),
        Step("settle claim", settle_claim),
    ),
    deadline=900,
    commit="remove what was",
    failed=endings.fail,
    finished=confirmed,
)

REVERT = Flow(
    kind="server.revert_resize",
    target_type="server",
    steps=(
        Step("stop guest", power.stop_guest, power.start_guest, _STOP + _START, when=runs),
        Step("take back guest", take_back_guest, None, _GUEST),
        Step("return ports", return_ports),
        Step("return volumes", return_volumes, None, 300),
        Step("start guest", start_guest, None, _START, when=ran_before),
        Step("free claim", free_claim),
    ),
    deadline=1800,
    commit="take back guest",
    failed=endings.fail,
    finished=reverted,
)
