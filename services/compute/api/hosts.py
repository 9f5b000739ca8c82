"""HostService: for operators, and for the host agents."""

import time
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import Caller, Kind, current
from mesh.channel import Peers
from mesh.database import Connection, Database
from mesh.errors import CloudError, invalid
from services.compute import guest_reports, holders, messages, pace
from services.compute.flows.app import App
from services.compute.nodes import Nodes
from services.compute.store import hosts
from weft.compute.v1.host_service_pb2 import (
    FindAttachmentsRequest,
    FindAttachmentsResponse,
    GetHostRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    ListHostsRequest,
    ListHostsResponse,
    ReadmitHostRequest,
    RegisterHostRequest,
    ReportGuestEventsRequest,
    UpdateHostRequest,
)
from weft.compute.v1.host_service_pb2_grpc import HostServiceServicer
from weft.compute.v1.resources_pb2 import Host, HostStatus
from weft.placement.v1.provider_service_pb2 import SyncProviderRequest
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub
from weft.placement.v1.resources_pb2 import Inventory

# Hosts are counted anew after so many seconds.
_COUNT_AGAIN = 5.0
_CHANGEABLE = ("disabled", "disabled_reason", "availability_zone")
_TOLD = ("name", "address", "hypervisor", "vcpus", "memory_mib", "disk_gib")


class HostService(HostServiceServicer):
    """The machines that guests run on."""

    def __init__(self, database: Database, peers: Peers) -> None:
        self._database = database
        self._app = App(database, peers, Nodes(peers, database))
        self._hosts, self._counted_at = 0, float("-inf")

    async def GetHost(self, request: GetHostRequest, context: Any) -> Host:
        return messages.host(await self._database.peek(hosts.get, request.id))

    async def ListHosts(self, request: ListHostsRequest, context: Any) -> ListHostsResponse:
        status = HostStatus.Name(request.status).removeprefix("HOST_STATUS_") if request.status else ""
        rows, token = await self._database.read(hosts.list_, request, status, current())
        return ListHostsResponse(hosts=map(messages.host, rows), next_page_token=token)

    async def UpdateHost(self, request: UpdateHostRequest, context: Any) -> Host:
        values = masks.apply(request.update_mask, request.host, _CHANGEABLE)

        def update(connection: Connection) -> Host:
            return messages.host(hosts.change(connection, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, Host, update)

    async def RegisterHost(self, request: RegisterHostRequest, context: Any) -> Host:
        """In placement first: a host that is listed here can be claimed there."""
        only_itself(request.host.id, current())
        if not (request.host.name and request.host.address):
            raise invalid("host", "needs id, name and address.")
        stub: Any = self._app.peers.stub(ProviderServiceStub, service="placement")
        await stub.SyncProvider(_provider(request))
        values = {name: getattr(request.host, name) for name in _TOLD}
        values["versions"] = dict(request.host.versions)
        told = (request.last_epoch, request.place)

        def register(connection: Connection) -> Host:
            return messages.host(hosts.register(connection, request.host.id, values, *told))

        return await mutation.change(self._database, request, Host, register)

    async def ReadmitHost(self, request: ReadmitHostRequest, context: Any) -> Host:
        def readmit(connection: Connection) -> Host:
            return messages.host(hosts.readmit(connection, request.id))

        return await mutation.change(self._database, request, Host, readmit)

    async def Heartbeat(self, request: HeartbeatRequest, context: Any) -> HeartbeatResponse:
        only_itself(request.id, current())
        await self._database.write(hosts.heard, request.id, request.epoch, request.free_disk_bytes)
        return HeartbeatResponse(interval=Duration(seconds=pace.heartbeat(await self._count())))

    async def _count(self) -> int:
        """How many hosts there are, or were a few seconds ago."""
        now = time.monotonic()
        if now - self._counted_at > _COUNT_AGAIN:
            self._hosts, self._counted_at = await self._database.peek(hosts.count), now
        return self._hosts

    async def ReportGuestEvents(self, request: ReportGuestEventsRequest, context: Any) -> Empty:
        only_itself(request.host_id, current())
        await self._database.write(guest_reports.take, request)
        return Empty()

    async def FindAttachments(self, request: FindAttachmentsRequest, context: Any) -> FindAttachmentsResponse:
        found = await holders.find(self._app, request.attachment_ids, request.host_id)
        return FindAttachmentsResponse(holders=found)


def only_itself(host_id: str, caller: Caller) -> None:
    """A host's certificate speaks for that host and for no other."""
    if not host_id:
        raise invalid("host.id", "is needed.")
    if caller.kind is Kind.NODE and caller.host_id != host_id:
        message = f"This certificate is host {caller.host_id}'s: it does not speak for {host_id}."
        raise CloudError("PERMISSION_DENIED", message, permission="compute.hosts.register", scope="", role="")


def _provider(request: RegisterHostRequest) -> SyncProviderRequest:
    host = request.host
    inventories = [
        Inventory(resource_class="VCPU", total=host.vcpus, allocation_ratio=request.vcpu_ratio),
        Inventory(resource_class="MEMORY_MB", total=host.memory_mib, reserved=request.memory_reserved_mib),
        Inventory(resource_class="DISK_GB", total=host.disk_gib),
    ]
    return SyncProviderRequest(
        id=host.id,
        name=host.name,
        inventories=[inventory for inventory in inventories if inventory.total],
        traits=sorted(set(request.traits)),
    )
