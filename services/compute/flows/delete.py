"""A server is deleted, from whichever status it is in.

    step               does                                                  undo
    stop other work    cancels what is under way on it, waits for its end    -
    delete guest       on its host; the commit point                         -
    release volumes    they are AVAILABLE                                    -
    release ports      deletes those made with it, unbinds the others        -
    delete volumes     those that were asked to go with it                   -
    free host          gives placement's claim back                          -

Before the commit point nothing is lost: while its host does not answer the deletion fails, and the server is
as it was. A host that is DOWN and that an operator has disabled is written off: its guests count as gone.
"""

from typing import Any

from mesh.database import Connection
from mesh.flow import Flow, Run, Step
from services.compute import other_work
from services.compute.flows import attachments, claims, endings, moves, ports
from services.compute.store import servers
from weft.placement.v1.allocation_service_pb2 import DeleteAllocationsRequest


def is_busy(run: Run) -> bool:
    """Whether something was under way when the deletion began."""
    return bool(run.input["other_operation_id"])


async def stop_other_work(run: Run) -> None:
    """Cancel it; what is past its commit point goes on to its end."""
    other = run.input["other_operation_id"]
    await other_work.cancel(run.app.database, other)
    await other_work.ended(run.app.database, other)


async def delete_guest(run: Run) -> None:
    """Destroy it, and what a resize has kept. HOST_UNAVAILABLE while a host does not answer."""
    server = await _server(run)
    if server is not None:
        for host_id in sorted({server.host_id, server.resize.get("host_id")} - {None}):
            await moves.delete_guest(run, host_id)


async def release_volumes(run: Run) -> None:
    """Take them away from the server."""
    if server := await _server(run):
        await attachments.give_back(run.app.peers, server)


async def release_ports(run: Run) -> None:
    """Delete or unbind them."""
    if server := await _server(run):
        await ports.give_back(run.app.peers, server)


async def delete_volumes(run: Run) -> None:
    """Delete those that go with it."""
    if server := await _server(run):
        await attachments.delete_with_server(run.app.peers, server)


async def free_host(run: Run) -> None:
    """Give back what it has of its host, and what a resize has besides."""
    server = await _server(run)
    spare = server.spare_claim_id if server else None
    for consumer_id in filter(None, (run.target_id, spare)):
        request = DeleteAllocationsRequest(consumer_id=consumer_id)
        await claims.allocations(run).DeleteAllocations(request)


def deleted(connection: Connection, run: Run) -> None:
    """The row goes last."""
    servers.remove(connection, run.target_id)


async def _server(run: Run) -> Any | None:
    return await run.app.database.peek(servers.find, run.target_id)


DELETE = Flow(
    kind="server.delete",
    target_type="server",
    steps=(
        Step("stop other work", stop_other_work, None, 600, when=is_busy),
        Step("delete guest", delete_guest, None, 90, attempts=5),
        Step("release volumes", release_volumes, None, 120),
        Step("release ports", release_ports),
        Step("delete volumes", delete_volumes),
        Step("free host", free_host),
    ),
    deadline=3600,
    commit="delete guest",
    failed=endings.fail,
    finished=deleted,
)
