"""Telemetry's RPCs: traces for people, and OTLP for every process."""

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from mesh import caller
from mesh.database import Database
from mesh.errors import not_found
from services.telemetry import otlp
from services.telemetry.model import Span, Summary, summary, visible
from services.telemetry.store import traces
from weft.telemetry.v1 import resources_pb2
from weft.telemetry.v1 import trace_service_pb2 as traces_pb2
from weft.telemetry.v1 import trace_service_pb2_grpc as traces_grpc


class Traces(traces_grpc.TraceServiceServicer):
    """weft.telemetry.v1.TraceService."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def GetTrace(self, request: traces_pb2.GetTraceRequest, context: Any) -> resources_pb2.Trace:
        """The spans of one trace that the caller may see."""
        spans = visible(await self.database.read(traces.get, request.trace_id), caller.current().reach)
        if not spans:
            raise not_found("trace", request.trace_id)
        project = next((span.project_id for span in spans if span.project_id), "")
        return resources_pb2.Trace(
            summary=summary_message(summary(spans, project)), spans=[span_message(span) for span in spans]
        )

    async def ListTraces(
        self, request: traces_pb2.ListTracesRequest, context: Any
    ) -> traces_pb2.ListTracesResponse:
        """A page of traces, newest first."""
        found, token = await self.database.read(traces.find, request, caller.current())
        return traces_pb2.ListTracesResponse(
            traces=[summary_message(item) for item in found], next_page_token=token
        )


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """OTLP over gRPC, from processes of the cloud."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: Any
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keep the spans; durable when answered, and safe to repeat."""
        arrived = list(otlp.spans(request.resource_spans))
        if arrived:
            await self.database.write(traces.add, arrived)
        return trace_service_pb2.ExportTraceServiceResponse()


def span_message(span: Span) -> resources_pb2.Span:
    """A span as the contract has it."""
    message = resources_pb2.Span(
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        trace_id=span.trace_id,
        name=span.name,
        service=span.service,
        kind=f"SPAN_KIND_{span.kind}",
        status=f"SPAN_STATUS_{span.status}",
        status_message=span.status_message,
        attributes=span.attributes,
        started_at=_timestamp(span.started_at),
        duration=_duration(span.duration),
    )
    for event in span.events:
        message.events.add(name=event.name, time=_timestamp(event.time), attributes=event.attributes)
    return message


def summary_message(item: Summary) -> resources_pb2.TraceSummary:
    """A trace in one line as the contract has it."""
    return resources_pb2.TraceSummary(
        trace_id=item.trace_id,
        name=item.name,
        started_at=_timestamp(item.started_at),
        duration=_duration(item.ended_at - item.started_at),
        spans=item.spans,
        errors=item.errors,
        project_id=item.project_id,
        operation_id=item.operation_id,
        operation_kind=item.operation_kind,
        resource_id=item.resource_id,
        services=item.services,
    )


def _timestamp(value: Any) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(value)
    return message


def _duration(value: Any) -> Duration:
    message = Duration()
    message.FromTimedelta(value)
    return message
