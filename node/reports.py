"""What guests do, told to compute as it happens.

A report that does not arrive is not kept in order and sent again later: the next one tells all guests as they
then are, which covers whatever was missed.
"""

import asyncio
import logging
from typing import Any

from mesh import clock
from mesh.channel import Peers
from mesh.errors import CloudError
from node.admission import Admission
from node.guest.hypervisor import Hypervisor, Sighting
from weft.compute.v1.host_service_pb2 import GuestEvent, GuestState, ReportGuestEventsRequest
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.node.v1.resources_pb2 import GuestState as NodeState

_AGAIN_SECONDS = 2.0
_log = logging.getLogger(__name__)


class Reports:
    """Collects events and sends them in the order that they happened."""

    def __init__(self, host_id: str, peers: Peers, hypervisor: Hypervisor, admission: Admission) -> None:
        self._host_id = host_id
        self._peers = peers
        self._hypervisor = hypervisor
        self._admission = admission
        self._events: list[GuestEvent] = []
        self._all = False
        self._some = asyncio.Event()

    def heard(self, server_id: str, seen: Sighting | None) -> None:
        """A guest did something; None: it is not defined any more."""
        self._events.append(_event(server_id, seen))
        self._some.set()

    def resync(self) -> None:
        """Something may have been missed: tell of all guests."""
        self._all = True
        self._some.set()

    async def run(self) -> None:
        """Send what there is, until cancelled."""
        while True:
            await self._some.wait()
            await self._admission.admitted()
            self._some.clear()
            try:
                await self._send()
            except CloudError as error:
                _log.warning("compute could not be told of guests: %s", error.message)
                self._all = True
                await asyncio.sleep(_AGAIN_SECONDS)
                self._some.set()

    async def _send(self) -> None:
        events, self._events = self._events, []
        complete, self._all = self._all, False
        if complete:
            seen = await self._hypervisor.list()
            events = [_event(server_id, sighting) for server_id, sighting in seen.items()]
        stub: Any = self._peers.stub(HostServiceStub, service="compute")
        report = ReportGuestEventsRequest(host_id=self._host_id, events=events, complete=complete)
        await stub.ReportGuestEvents(report)


def _event(server_id: str, seen: Sighting | None) -> GuestEvent:
    # The states of both contracts have the same names; compute's has GONE as well.
    name = "GUEST_STATE_GONE" if seen is None else NodeState.Name(seen.state)
    return GuestEvent(
        server_id=server_id,
        state=GuestState.Value(name),
        detail=seen.detail if seen else "undefined",
        occurred_at=clock.to_proto(clock.now()),
    )
