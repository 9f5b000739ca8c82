"""Ports whose server is gone, or never came about: what a call leaves in the network that came after its flow
was undone.

The id of a port that a boot made derives from that boot's operation: that proves that it is ours, and it is
deleted. One that somebody else made is only taken from the host, as nobody but compute puts one there; what
else its owner wrote into it is theirs.
"""

import logging
from datetime import timedelta
from typing import Any

from mesh import clock, ids
from mesh.database import Connection
from services.compute.flows.app import App
from services.compute.flows.ports import DEVICE_OWNER, id_of
from services.compute.store import hosts, servers
from weft.network.v1.port_service_pb2 import DeletePortRequest, ListPortsRequest, UnbindPortRequest
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.resources_pb2 import Port

# A port that changed so lately may be in the middle of something.
GRACE = timedelta(minutes=10)
# As many networks as CreateServer takes.
_POSITIONS = 16
_log = logging.getLogger(__name__)


async def give_back(app: App) -> None:
    """Delete or unbind the ports of servers that are not there, older than the grace time."""
    stub: Any = app.peers.stub(PortServiceStub, service="network")
    page = ListPortsRequest(device_owner=DEVICE_OWNER, page_size=1000)
    while True:
        answer = await stub.ListPorts(page)
        for port in await app.database.read(_stray, list(answer.ports)):
            await _give_back(app, stub, port)
        if not answer.next_page_token:
            return
        page.page_token = answer.next_page_token


def _stray(connection: Connection, ports: list[Port]) -> list[Port]:
    before = clock.now() - GRACE
    old = [port for port in ports if port.device_id and clock.from_proto(port.updated_at) < before]
    there = servers.holders(connection, [port.device_id for port in old])
    return [port for port in old if port.device_id not in there]


async def _give_back(app: App, stub: Any, port: Port) -> None:
    if await app.database.read(_is_ours, port):
        _log.warning("port %s was made for server %s, which is gone: deleted", port.id, port.device_id)
        await stub.DeletePort(DeletePortRequest(id=port.id, allow_missing=True))
    elif port.host_id:
        _log.warning("port %s was bound for server %s, which is gone: unbound", port.id, port.device_id)
        await stub.UnbindPort(UnbindPortRequest(id=port.id, host_id=port.host_id))


def _is_ours(connection: Connection, port: Port) -> bool:
    """Whether an operation on that server made it."""
    names = [id_of(position, host_id) for host_id in hosts.all_(connection) for position in range(_POSITIONS)]
    operations = servers.operations_on(connection, port.device_id)
    return any(port.id == ids.derived(operation, name) for operation in operations for name in names)
