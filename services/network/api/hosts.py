"""HostNetworkService."""

import logging
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh.caller import Kind, current
from mesh.database import Database
from mesh.errors import CloudError
from mesh.reconcile import Sweep
from services.network.host_streams import HostStreams
from services.network.store import egress, hosts, ports
from weft.network.v1 import host_service_pb2 as verbs
from weft.network.v1 import host_service_pb2_grpc as grpc_base
from weft.network.v1 import host_state_pb2 as pb

_log = logging.getLogger(__name__)
# As many reports as one unit of work takes.
_TOGETHER = 500


class Hosts(grpc_base.HostNetworkServiceServicer):
    """How hosts learn what their network is to be. `listener_id` names this process among replicas."""

    def __init__(self, database: Database, streams: HostStreams, listener_id: str, placing: Sweep) -> None:
        self._database, self._streams = database, streams
        self._listener_id, self._placing = listener_id, placing

    async def WatchHostState(
        self, request: verbs.WatchHostStateRequest, context: Any
    ) -> AsyncIterator[pb.HostState]:
        """PERMISSION_DENIED for another host's."""
        _check_own(request.host_id, "network.hosts.watch")
        stream = self._streams.open(request.host_id, request.confirms)
        try:
            await self._database.write(
                egress.host_connected,
                request.host_id,
                request.vtep_address,
                request.physical_networks,
                self._listener_id,
                stream.id,
                request.confirms,
            )
            self._placing.nudge()  # a router may have waited for such a host
            _log.info("host %s watches its network", request.host_id)
            async for state in self._streams.states(stream):
                yield state
        finally:
            self._streams.close(stream)
            await self._database.write(hosts.disconnect, request.host_id, stream.id)

    async def ReportHostState(self, request: verbs.ReportHostStateRequest, context: Any) -> Empty:
        """PERMISSION_DENIED for another host's."""
        _check_own(request.host_id, "network.hosts.report")
        reports = {
            report.port_id: (
                pb.WireState.Name(report.state).removeprefix("WIRE_STATE_"),
                report.revision,
                report.detail,
            )
            for report in request.ports
        }
        ids = list(reports)
        for at in range(0, len(ids), _TOGETHER):
            part = {id: reports[id] for id in ids[at : at + _TOGETHER]}
            await self._database.write(ports.report, request.host_id, part)
        if request.confirmed_revision or request.trouble:
            trouble = {each.resource_id: each.detail for each in request.trouble}
            await self._database.write(hosts.confirm, request.host_id, request.confirmed_revision, trouble)
        return Empty()


def _check_own(host_id: str, permission: str) -> None:
    """A host agent speaks for its own host alone."""
    who = current()
    if who.kind is Kind.NODE and who.host_id != host_id:
        message = f"The certificate is of the host {who.host_id}, not of {host_id}."
        raise CloudError("PERMISSION_DENIED", message, permission=permission, scope=who.scope, role="")
