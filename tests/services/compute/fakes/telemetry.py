"""Telemetry: the warnings that it was told, by topic."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh.server import Part, Runtime, Service
from weft.telemetry.v1 import warning_service_pb2_grpc
from weft.telemetry.v1.warning_service_pb2 import Warning, WarningKind


class Telemetry(warning_service_pb2_grpc.WarningServiceServicer):
    """Keeps what was told last of each topic."""

    def __init__(self) -> None:
        self._topics: dict[str, list[Warning]] = {}

    def part(self) -> Part:
        def build(runtime: Runtime) -> Service:
            return Service([(warning_service_pb2_grpc.add_WarningServiceServicer_to_server, self)])

        return Part("telemetry", build)

    async def ReportWarnings(self, request: Any, context: Any) -> Empty:
        self._topics[request.topic] = list(request.warnings)
        return Empty()

    @property
    def warnings(self) -> set[tuple[str, str]]:
        """Kind and thing of every warning that there is."""
        return {
            (WarningKind.Name(each.kind).removeprefix("WARNING_KIND_"), each.resource_id)
            for warnings in self._topics.values()
            for each in warnings
        }
