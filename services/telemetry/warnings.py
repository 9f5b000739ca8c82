"""WarningService: what sweeps could not heal, told by services and hosts, read by operators."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import clock
from mesh.caller import Caller, Kind, current
from mesh.database import Database
from mesh.errors import CloudError
from services.telemetry.store import warnings
from weft.telemetry.v1.warning_service_pb2 import (
    ListWarningsRequest,
    ListWarningsResponse,
    ReportWarningsRequest,
    Warning,
)
from weft.telemetry.v1.warning_service_pb2_grpc import WarningServiceServicer

_SAME = ("id", "source", "topic", "resource_type", "resource_id", "host_id", "message")


class Warnings(WarningServiceServicer):
    """weft.telemetry.v1.WarningService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ListWarnings(self, request: ListWarningsRequest, context: Any) -> ListWarningsResponse:
        """A page of warnings, oldest first."""
        rows, token = await self._database.read(warnings.find, request, current())
        return ListWarningsResponse(warnings=map(_message, rows), next_page_token=token)

    async def ReportWarnings(self, request: ReportWarningsRequest, context: Any) -> Empty:
        """Keep what the caller found: by its certificate it is known who that is."""
        source = _source(current(), request)
        await self._database.write(warnings.replace, source, request.topic, list(request.warnings))
        return Empty()


def _source(caller: Caller, request: ReportWarningsRequest) -> str:
    if caller.kind is not Kind.NODE:
        return f"service/{caller.service}"
    if {warning.host_id for warning in request.warnings} - {caller.host_id, ""}:
        raise CloudError(
            "PERMISSION_DENIED",
            f"This certificate is host {caller.host_id}'s: it does not speak of another.",
            permission="telemetry.warnings.report",
            scope=caller.scope,
            role="node",
        )
    return f"node/{caller.host_id}"


def _message(row: Any) -> Warning:
    return Warning(
        kind=f"WARNING_KIND_{row.kind}",
        first_seen_at=clock.to_proto(row.first_seen_at),
        last_seen_at=clock.to_proto(row.last_seen_at),
        **{name: getattr(row, name) for name in _SAME},
    )
