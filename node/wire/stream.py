"""Talks with the network service: hears what this host's network is to be, says what became of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from mesh.channel import Peers
from mesh.errors import CloudError
from node.wire.confirming import Confirmation
from weft.network.v1 import host_service_pb2, host_state_pb2
from weft.network.v1.host_service_pb2_grpc import HostNetworkServiceStub

log = logging.getLogger(__name__)
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0
_BATCH = 1000


async def _persistently(attempt: Callable[[], Awaitable[None]], what: str) -> None:
    """Try for ever; wait longer after each failure in a row, and say so at the first."""
    wait = _FIRST_WAIT
    while True:
        try:
            await attempt()
            wait = _FIRST_WAIT
        except CloudError as error:
            log.log(logging.WARNING if wait == _FIRST_WAIT else logging.DEBUG, "%s: %s", what, error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)


class Wishes:
    """The stream of what this host's network is to be; `take` is called with each message in order."""

    def __init__(
        self,
        peers: Peers,
        request: host_service_pb2.WatchHostStateRequest,
        take: Callable[[host_state_pb2.HostState], None],
    ) -> None:
        self._stub = peers.stub(HostNetworkServiceStub, service="network")
        self._request = request
        self._take = take

    async def run(self) -> None:
        """Listen for ever; each time that the stream breaks, begin anew with the whole state."""
        await _persistently(self._listen, "the network service does not say what is to be")

    async def _listen(self) -> None:
        async for message in self._stub.WatchHostState(self._request):
            self._take(message)
        raise CloudError("UNAVAILABLE", "The network service ended the stream.")


class Reports:
    """What is to be said of ports, and of all together: the newest of each, sent together, until the network
    service has it.
    """

    def __init__(self, peers: Peers, host_id: str) -> None:
        self._stub = peers.stub(HostNetworkServiceStub, service="network")
        self._host_id = host_id
        self._waiting: dict[str, host_state_pb2.PortReport] = {}
        self._whole: Confirmation | None = None
        self._some = asyncio.Event()

    def confirm(self, confirmation: Confirmation | None) -> None:
        """Say this soon of all together; None is nothing new."""
        if confirmation is not None:
            self._whole = confirmation
            self._some.set()

    def add(self, reports: Iterable[host_state_pb2.PortReport]) -> None:
        """Say this soon; it replaces what was to be said of the same ports."""
        self._waiting.update((report.port_id, report) for report in reports)
        if self._waiting:
            self._some.set()

    async def run(self) -> None:
        """Send for ever."""
        await _persistently(self._send, "the network service does not take reports")

    async def _send(self) -> None:
        await self._some.wait()
        batch = dict(islice(self._waiting.items(), _BATCH))
        whole = self._whole
        request = host_service_pb2.ReportHostStateRequest(
            host_id=self._host_id,
            ports=batch.values(),
            confirmed_revision=whole.revision if whole else 0,
            trouble=whole.message() if whole else (),
        )
        await self._stub.ReportHostState(request)
        for port_id, report in batch.items():
            if self._waiting.get(port_id) is report:
                del self._waiting[port_id]
        self._whole = None if self._whole is whole else self._whole
        if not self._waiting and self._whole is None:
            self._some.clear()
