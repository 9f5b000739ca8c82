"""The addresses of servers' ports, as the network service has them: whoever changes a port there changes what
its server shows.

Changes are followed as they are told. What was missed, while the stream was down or before a boot wrote down
what it had made, is found by comparing all ports now and then.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from mesh.database import Connection
from mesh.errors import CloudError
from mesh.lists import walk
from mesh.reconcile import Sweep
from services.compute.flows.app import App
from services.compute.flows.ports import DEVICE_OWNER
from services.compute.store import servers
from weft.network.v1.port_service_pb2 import ListPortsRequest, WatchPortsRequest
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.resources_pb2 import Port

# Seconds until the stream is asked for again.
_RETRY = 1.0
_EVERY = 300.0
_TOGETHER = 500
_log = logging.getLogger(__name__)


class PortAddresses:
    """Follows them in one process; `follow` and `comparing.run` must be running."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.comparing = Sweep("addresses of ports", _EVERY, self.compare)

    async def follow(self) -> None:
        """Take changes as they come, until cancelled."""
        followed = True
        while True:
            try:
                async for port in self._changes():
                    if not followed:
                        self.comparing.nudge()
                    followed = True
                    await self._take([port])
            except CloudError as error:
                if followed:
                    _log.warning("changes of ports are not followed at the moment: %s", error.message)
            followed = False
            await asyncio.sleep(_RETRY)

    async def compare(self) -> None:
        """Take what is different from what servers show."""
        listed = walk(self._stub().ListPorts, ListPortsRequest(device_owner=DEVICE_OWNER), "ports")
        some: list[Port] = []
        async for port in listed:
            some.append(port)
            if len(some) == _TOGETHER:
                await self._take(some)
                some = []
        await self._take(some)

    async def _changes(self) -> AsyncIterator[Port]:
        async for change in self._stub().WatchPorts(WatchPortsRequest()):
            if change.type == "UPDATED" and change.port.device_owner == DEVICE_OWNER:
                yield change.port

    async def _take(self, ports: list[Port]) -> None:
        for port in await self._app.database.peek(_different, ports):
            await self._app.database.write(_write, port)

    def _stub(self) -> Any:
        return self._app.peers.stub(PortServiceStub, service="network")


def _different(connection: Connection, ports: list[Port]) -> list[Port]:
    """Those whose servers show other addresses."""
    shown = servers.ports_of(connection, {port.device_id for port in ports})
    return [port for port in ports if _taken(shown.get(port.device_id, []), port)]


def _write(connection: Connection, port: Port) -> None:
    row = servers.find(connection, port.device_id, lock=True)
    if row is not None and (changed := _taken(row.ports, port)):
        servers.change(connection, row.id, {"ports": changed})


def _taken(shown: list[dict[str, Any]], port: Port) -> list[dict[str, Any]]:
    """A server's ports with this one as it is now; none where nothing changes, or where it is told late."""
    for place, known in enumerate(shown):
        if known["port_id"] == port.id:
            now = {"fixed_ips": [ip.ip_address for ip in port.fixed_ips], "revision": port.revision}
            if known["fixed_ips"] == now["fixed_ips"] or known.get("revision", 0) >= port.revision:
                return []
            return [*shown[:place], known | now, *shown[place + 1 :]]
    return []
