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
from services.compute.flows import attachments, endings, ports
from services.compute.nodes import reaching
from services.compute.store import servers
from weft.node.v1.guest_service_pb2 import DeleteGuestRequest
from weft.placement.v1.allocation_service_pb2 import DeleteAllocationsRequest
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub


def is_busy(run: Run) -> bool:
    """Whether something was under way when the deletion began."""
    return bool(run.input["other_operation_id"])


async def stop_other_work(run: Run) -> None:
    """Cancel it; what is past its commit point goes on to its end."""
    other = run.input["other_operation_id"]
    await other_work.cancel(run.app.database, other)
    await other_work.ended(run.app.database, other)


async def delete_guest(run: Run) -> None:
    """Destroy it with its disks. HOST_UNAVAILABLE while its host does not answer."""
    server = await _server(run)
    if server is None or server.host_id is None or await run.app.nodes.written_off(server.host_id):
        return
    with reaching(server.host_id):
        stub = await run.app.nodes.guests(server.host_id)
        await stub.DeleteGuest(DeleteGuestRequest(server_id=server.id), timeout=60)


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
    """Give back what it has of its host."""
    stub: Any = run.app.peers.stub(AllocationServiceStub, service="placement")
    await stub.DeleteAllocations(DeleteAllocationsRequest(consumer_id=run.target_id))


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
