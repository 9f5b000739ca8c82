"""A server that is there is given a network card, or one is taken away.

flow                  step              does                                      undo
server.attach_port    create ports      one, unless it is there                   delete it
                      bind ports        to the host, which begins to wire it      unbind it
                      attach in guest   hot-plugged where it runs                 detach it
server.detach_port    detach in guest   the commit point                          -
                      release port      deletes one made for it, unbinds others   -
"""

from google.protobuf.json_format import ParseDict

from mesh.database import Connection
from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.compute.flows import endings, ports
from services.compute.flows.app import GRACE
from services.compute.nodes import reaching
from services.compute.store import servers
from weft.node.v1.guest_service_pb2 import AttachPortRequest, DetachPortRequest
from weft.node.v1.resources_pb2 import GuestPort

# The wires have 30 s, and a guest may take its time.
_GUEST = 90.0


async def attach_in_guest(run: Run) -> None:
    """Give it to the guest, once it is wired where that runs."""
    port = ParseDict(ports.made(run)[0]["guest_port"], GuestPort())
    host_id = run.input["host_id"]
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        await stub.AttachPort(AttachPortRequest(server_id=run.target_id, port=port), timeout=_GUEST)


async def take_back(run: Run) -> None:
    """Take from the guest what it may have been given."""
    await _detach(run, ports.made(run)[0]["port_id"])


async def detach_in_guest(run: Run) -> None:
    """Take it from the guest; DEADLINE_EXCEEDED when that does not let go. No guest has no card."""
    await _detach(run, run.input["port"]["port_id"])


async def release_port(run: Run) -> None:
    """It is gone, or free."""
    await ports.give_one_back(run.app.peers, run.input["port"], run.target_id)


async def _detach(run: Run, port_id: str) -> None:
    host_id = run.input["host_id"]
    request = DetachPortRequest(server_id=run.target_id, port_id=port_id)
    try:
        with reaching(host_id):
            await (await run.app.nodes.guests(host_id)).DetachPort(request, timeout=_GUEST)
    except CloudError as error:
        if error.reason != "NOT_FOUND":
            raise


def attached(connection: Connection, run: Run) -> None:
    """The server's row has it."""
    row = servers.find(connection, run.target_id, lock=True)
    port = ports.kept(ports.made(run)[0])
    endings.succeed(connection, run, ports=[*(row.ports if row else []), port])


def detached(connection: Connection, run: Run) -> None:
    """The server's row has it no longer."""
    row = servers.find(connection, run.target_id, lock=True)
    gone = run.input["port"]["port_id"]
    left = [port for port in (row.ports if row else []) if port["port_id"] != gone]
    endings.succeed(connection, run, ports=left)


ATTACH_PORT = Flow(
    kind="server.attach_port",
    target_type="server",
    steps=(
        Step("create ports", ports.create, ports.uncreate, grace=GRACE),
        Step("bind ports", ports.bind, ports.unbind, grace=GRACE, when=ports.has_unbound),
        Step("attach in guest", attach_in_guest, take_back, _GUEST),
    ),
    deadline=600,
    failed=endings.fail,
    finished=attached,
)

DETACH_PORT = Flow(
    kind="server.detach_port",
    target_type="server",
    steps=(
        Step("detach in guest", detach_in_guest, None, _GUEST),
        Step("release port", release_port),
    ),
    deadline=600,
    commit="detach in guest",
    failed=endings.fail,
    finished=detached,
)
