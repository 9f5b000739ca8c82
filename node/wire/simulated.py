"""A network that is nowhere: each port that the network service names is reported as wired at once."""

import asyncio

from mesh import settings
from mesh.channel import Peers
from node.wire.confirming import Confirming
from node.wire.kernel import Result
from node.wire.readiness import Readiness
from node.wire.state import State
from node.wire.stream import Reports, Wishes
from node.wire.wire import Guests
from weft.network.v1 import host_state_pb2
from weft.network.v1.host_service_pb2 import WatchHostStateRequest


class SimulatedWire:
    """Like Wire, without a kernel: for hosts that run simulated guests."""

    def __init__(self, node: settings.Node, peers: Peers, host_id: str, guests: Guests) -> None:
        self._state = State()
        self._readiness, self._confirming = Readiness(host_id), Confirming()
        self._reports = Reports(peers, host_id)
        request = WatchHostStateRequest(
            host_id=host_id,
            vtep_address=node.vtep_address,
            physical_networks=sorted(node.bridge_mappings),
            confirms=True,
        )
        self._wishes = Wishes(peers, request, self._take)
        self._tasks: list[asyncio.Task[None]] = []
        self._told = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen and to report."""
        self._tasks = [asyncio.create_task(self._wishes.run()), asyncio.create_task(self._reports.run())]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def remove(self) -> None:
        """Take away nothing: there is nothing."""

    async def told(self) -> None:
        """Wait until the network service has said what is to be."""
        await self._told.wait()

    async def ready(self, port_id: str, deadline_s: float) -> None:
        """Return once the network service named the port. Raises CloudError PORT_NOT_WIRED."""
        await self._readiness.wait(port_id, deadline_s)

    def _take(self, message: host_state_pb2.HostState) -> None:
        before = set(self._state.ports)
        self._state.take(message)
        self._readiness.forget(before - self._state.ports.keys())
        if message.complete:
            self._readiness.repeat()
            self._confirming.repeat()
            self._told.set()
        wired = {id: port.revision for id, port in self._state.ports.items()}
        self._reports.add(self._readiness.learn(Result(wired=wired)))
        self._reports.confirm(self._confirming.learn(self._state.covers, True, {}))
