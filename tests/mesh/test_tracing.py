"""One trace: what a client began goes on through services and flows, and arrives at the collector."""

import asyncio
import dataclasses
import io
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace import TracerProvider

from mesh import caller, ids, server, tracing
from mesh import logging as weft_logging
from mesh.caller import Caller, Kind
from mesh.flow import Flow, Run, Step, submit
from mesh.server import Part, Runtime, Service
from mesh.settings import Settings, Tracing
from tests.mesh.cloudlet import TABLES, Flavors
from weft.compute.v1 import flavor_service_pb2, flavor_service_pb2_grpc, resources_pb2
from weft.options.v1 import access_pb2

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps spans, with the name of the service that each is of."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, trace_pb2.Span]] = []

    async def Export(self, request: Any, context: Any) -> Any:
        for group in request.resource_spans:
            names = {a.key: a.value.string_value for a in group.resource.attributes}
            for scope in group.scope_spans:
                self.spans += [(names["service.name"], span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def traced(cloud: Settings) -> Settings:
    return msgspec.structs.replace(cloud, tracing=Tracing(enabled=True))


@asynccontextmanager
async def collecting(settings: Settings) -> AsyncIterator[Collector]:
    """A telemetry service that keeps what it gets: an OTLP contract of others, with an access rule given."""
    collector = Collector()
    rule = access_pb2.Access(permission="telemetry.spans.export", audience=access_pb2.AUDIENCE_NODE)

    def build(runtime: Runtime) -> Service:
        add = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
        return Service([(add, collector)], rules={EXPORT: rule})

    async with server.running(settings, [Part("telemetry", build)]):
        yield collector


def failed(*_: Any) -> None:
    """Nothing to set right: the flow of this test has no resource."""


async def test_a_trace_goes_from_the_client_through_services_and_a_flow_without_gaps(
    traced: Settings,
) -> None:
    finished = asyncio.Event()

    async def ask_again(run: Run) -> None:
        await run.app.GetFlavor(flavor_service_pb2.GetFlavorRequest(id=run.target_id))
        finished.set()

    flow = Flow("flavor.make", "flavor", (Step("ask again", ask_again),), 30, failed)

    def front(runtime: Runtime) -> Service:
        flavors = Flavors()
        back = runtime.peers.stub(flavor_service_pb2_grpc.FlavorServiceStub, "compute")
        runtime.use_flows([flow], back)

        async def create(request: Any) -> Any:
            id = ids.new()
            acting = caller.current()
            await runtime.database.write(submit, flow, target_id=id, project_id="p", caller=acting, input={})
            return resources_pb2.Flavor(id=id)

        flavors.get = create
        return Service([(flavor_service_pb2_grpc.add_FlavorServiceServicer_to_server, flavors)])

    def back(runtime: Runtime) -> Service:
        return Service([(flavor_service_pb2_grpc.add_FlavorServiceServicer_to_server, Flavors())])

    async with collecting(traced) as collector:
        async with server.running(
            traced, [Part("network", front, TABLES), Part("compute", back)]
        ) as runtimes:
            stub = runtimes["compute"].peers.stub(flavor_service_pb2_grpc.FlavorServiceStub, "network")
            tracer = TracerProvider().get_tracer("client")
            user = Caller(kind=Kind.USER, user_id="u", project_id="p", scope="project")
            with tracer.start_as_current_span("client") as root, caller.acting_as(user):
                await stub.GetFlavor(flavor_service_pb2.GetFlavorRequest(id=ids.new()))
            async with asyncio.timeout(10):
                await finished.wait()
        spans = {
            f"{service}: {span.name}": span
            for service, span in collector.spans
            if span.trace_id == root.get_span_context().trace_id.to_bytes(16)
        }
    call = "weft.compute.v1.FlavorService/GetFlavor"
    order = [f"network: {call}", "network: flow flavor.make", "network: step ask again", f"compute: {call}"]
    assert set(spans) == set(order)
    parents = [root.get_span_context().span_id.to_bytes(8), *(spans[name].span_id for name in order[:-1])]
    assert [spans[name].parent_span_id for name in order] == parents
    attributes = {a.key: a.value.string_value for a in spans["network: flow flavor.make"].attributes}
    assert attributes["weft.operation.kind"] == "flavor.make"
    assert attributes["weft.project.id"] == "p"
    assert {a.key for a in spans[f"compute: {call}"].attributes} >= {"weft.project.id", "weft.resource.id"}


async def test_exporting_spans_makes_no_spans(traced: Settings) -> None:
    async with collecting(traced) as collector:
        await asyncio.sleep(1.2)  # two rounds of the exporter
        assert collector.spans == []


def line(make: Callable[[logging.Logger], None], formatter: logging.Formatter) -> str:
    """What a log call writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    make(logger)
    return stream.getvalue()


def test_a_log_line_carries_the_trace_that_it_belongs_to() -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracing.span("work", tracer=tracer) as span:
        written = json.loads(
            line(lambda log: log.warning("hot %d", 7, extra={"host": "h"}), weft_logging.Json())
        )
        text = line(lambda log: log.warning("hot"), weft_logging.Text())
    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert (written["message"], written["level"], written["host"]) == ("hot 7", "warning", "h")
    assert written["trace_id"] == trace_id
    assert trace_id in text
    assert "trace_id" not in json.loads(line(lambda log: log.info("cold"), weft_logging.Json()) or "{}")


def test_a_callers_fields_survive_the_way_to_another_service() -> None:
    sent = Caller(
        kind=Kind.USER,
        user_id="u",
        user_name="Ada",
        project_id="p",
        scope="project",
        roles=frozenset({"member"}),
        token_id="t",
        expires_at=7,
    )
    got = caller.decode(caller.encode(sent.through("compute")))
    assert got == dataclasses.replace(sent, kind=Kind.SERVICE, service="compute")
    with pytest.raises(ValueError, match="not an encoded caller"):
        caller.decode(b"\xc1garbage")
