"""What should be, against what is: hosts that fell silent, guests that were lost, claims that nobody has.

Every sweep may run in several replicas at once: each round changes only what is still so.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

from mesh import clock
from mesh.database import Connection
from mesh.errors import CloudError
from mesh.reconcile import Sweep
from mesh.warnings import Warnings
from services.compute import guest, guest_reports, holders, model, stray_guests, stray_ports, volume_drift
from services.compute.flows.app import App
from services.compute.nodes import reaching
from services.compute.pace import Rounds, silence
from services.compute.store import hosts, servers
from weft.node.v1.guest_service_pb2 import UpdateMetadataRequest
from weft.node.v1.resources_pb2 import Guest, GuestState
from weft.placement.v1.allocation_service_pb2 import DeleteAllocationsRequest, ListProviderAllocationsRequest
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub

_AT_ONCE = 16
_log = logging.getLogger(__name__)


class Reconciler:
    """The sweeps of one process; `telling` is nudged when a guest's metadata has changed."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._began = time.monotonic()
        self._warnings = Warnings(app.peers)
        self._compared, self._freed = Rounds(), Rounds()
        self.telling = Sweep("tell guests their metadata", 30, self.tell_metadata)
        self.sweeps = [
            self.telling,
            Sweep("silent hosts", 5, self.mark_silent_hosts),
            Sweep("guests", 60, self.compare_guests),
            Sweep("stranded servers", 60, self.settle_stranded),
            Sweep("allocations without a server", 300, self.free_orphans),
            Sweep("ports without a server", 300, lambda: stray_ports.give_back(app)),
            Sweep("volumes of servers", 300, lambda: volume_drift.compare(app, self._warnings)),
        ]

    async def mark_silent_hosts(self) -> None:
        """UP hosts that are not heard of are DOWN. While this process was not there nobody could be heard."""
        silent = silence(await self._app.database.peek(hosts.count))
        if time.monotonic() - self._began < silent.total_seconds():
            return
        for host in await self._app.database.write(hosts.mark_down, silent):
            _log.warning("host %s (%s) is DOWN: last heard of at %s", host.name, host.id, host.last_seen_at)

    async def compare_guests(self) -> None:
        """Servers follow what their hosts' guests do; one whose guest is gone is in ERROR. Hosts tell of
        their guests by themselves: this finds what was lost on the way.
        """
        known = await self._app.database.read(hosts.all_)
        limit = asyncio.Semaphore(_AT_ONCE)
        up = [host.id for host in known.values() if host.status == "UP"]
        await asyncio.gather(*(self._compare_host(host_id, limit) for host_id in self._compared.take(up)))

    async def _compare_host(self, host_id: str, limit: asyncio.Semaphore) -> None:
        async with limit:
            asked_at = clock.now()
            try:
                guests = await holders.guests_on(self._app, host_id)
                await self._app.database.write(_compare, host_id, guests, asked_at)
                await stray_guests.settle(self._app, self._warnings, host_id, guests, asked_at)
            except CloudError as error:
                _log.warning("the guests of host %s could not be compared: %s", host_id, error.message)

    async def settle_stranded(self) -> None:
        """No server is in transition without a live operation. It cannot come to that: told loudly."""
        for row in await self._app.database.read(servers.stranded):
            await self._app.database.write(_settle_stranded, row.id)

    async def free_orphans(self) -> None:
        """Placement holds nothing for a server that is not there."""
        stub: Any = self._app.peers.stub(AllocationServiceStub, service="placement")
        for host_id in self._freed.take(await self._app.database.read(hosts.all_)):
            claims = await self._consumers(stub, host_id)
            there = await self._app.database.read(servers.claimants, claims)
            for orphan in sorted(set(claims) - there):
                _log.warning("server %s is gone, and yet it had a claim on host %s", orphan, host_id)
                await stub.DeleteAllocations(DeleteAllocationsRequest(consumer_id=orphan))

    async def _consumers(self, stub: Any, host_id: str) -> list[str]:
        """Ids of the servers that have a claim on the host."""
        found: list[str] = []
        request = ListProviderAllocationsRequest(provider_id=host_id, page_size=1000)
        while True:
            try:
                answer = await stub.ListProviderAllocations(request)
            except CloudError as error:
                if error.reason != "NOT_FOUND":
                    raise
                return found
            found.extend(c.id for c in answer.consumers if c.consumer_type == "server")
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def tell_metadata(self) -> None:
        """Tell guests of changed metadata; one whose host does not answer is told in a later round."""
        for row in await self._app.database.read(servers.with_metadata_due):
            user_data = await self._app.database.read(servers.user_data_of, row.id)
            told = UpdateMetadataRequest(server_id=row.id, metadata=guest.metadata(row, user_data))
            try:
                with reaching(row.host_id):
                    await (await self._app.nodes.guests(row.host_id)).UpdateMetadata(told)
            except CloudError as error:
                _log.info("the guest of server %s was not told yet: %s", row.id, error.message)
                continue
            await self._app.database.write(servers.metadata_told, row.id, row.revision)


def _compare(connection: Connection, host_id: str, guests: Iterable[Guest], asked_at: Any) -> None:
    """What has changed since the host was asked is left for the next round."""
    states = {g.server_id: (GuestState.Name(g.state).removeprefix("GUEST_STATE_"), g.detail) for g in guests}
    for row in servers.on_host(connection, host_id, lock=True):
        state, detail = states.get(row.id, ("GONE", "not among the host's guests"))
        if row.updated_at < asked_at and state in model.BY_GUEST_STATE:
            guest_reports.settle(connection, row, state, detail)


def _settle_stranded(connection: Connection, id: str) -> None:
    row = next((row for row in servers.stranded(connection) if row.id == id), None)
    if row is None:
        return
    _log.error("server %s was %s without a live operation (%s)", id, row.status, row.operation_id)
    values: dict[str, Any] = {"operation_id": None}
    if model.in_transition(row.status):
        values |= {"status": "ERROR", "status_reason": "Its operation is lost. Delete the server."}
    servers.change(connection, id, values)
