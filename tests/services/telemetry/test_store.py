"""Spans as they arrive by OTLP, and who may see them."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from sqlalchemy import MetaData

from mesh import ids
from mesh.caller import Caller, Kind, acting_as
from mesh.database import Database
from mesh.errors import CloudError
from services.telemetry.api import Receiver, Traces
from services.telemetry.store import traces
from services.telemetry.tables import TABLES
from weft.telemetry.v1.trace_service_pb2 import GetTraceRequest, ListTracesRequest

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def metadata() -> MetaData:
    return TABLES


def user(project: str) -> Caller:
    return Caller(kind=Kind.USER, user_id=ids.new(), project_id=project, scope="project")


SYSTEM = Caller(kind=Kind.USER, user_id=ids.new(), scope="system", roles=frozenset({"admin"}))


class Sender:
    """A process that exports spans of one trace."""

    def __init__(self, receiver: Receiver, trace_id: str | None = None) -> None:
        self.receiver = receiver
        self.trace_id = trace_id or secrets.token_hex(16)

    async def span(
        self,
        name: str,
        parent: str = "",
        service: str = "compute",
        after_ms: int = 0,
        error: str = "",
        **more: str,
    ) -> str:
        """Export one span of 10 ms; `more` are weft attributes with `_` for `.`. Answers its id."""
        request = trace_service_pb2.ExportTraceServiceRequest()
        batch = request.resource_spans.add()
        batch.resource.attributes.add(key="service.name").value.string_value = service
        span = batch.scope_spans.add().spans.add(name=name, kind=2)
        span.trace_id, span.span_id = bytes.fromhex(self.trace_id), secrets.token_bytes(8)
        span.parent_span_id = bytes.fromhex(parent)
        begin = NOW + timedelta(milliseconds=after_ms)
        span.start_time_unix_nano = int(begin.timestamp() * 1e9)
        span.end_time_unix_nano = span.start_time_unix_nano + 10_000_000
        if error:
            span.status.code, span.status.message = 2, error
        for key, value in more.items():
            span.attributes.add(key="weft." + key.replace("_", ".")).value.string_value = value
        await self.receiver.Export(request, None)
        await self.receiver.Export(request, None)  # a sender that saw no answer sends again
        return span.span_id.hex()


async def get(database: Database, caller: Caller, trace_id: str):
    with acting_as(caller):
        return await Traces(database).GetTrace(GetTraceRequest(trace_id=trace_id), None)


async def find(database: Database, caller: Caller, **filters: object):
    with acting_as(caller):
        return await Traces(database).ListTraces(ListTracesRequest(**filters), None)


async def test_a_trace_is_answered_whole_in_order_with_what_went_wrong(database: Database) -> None:
    project, server = ids.new(), ids.new()
    sender = Sender(Receiver(database))
    root = await sender.span("POST /compute/v1/servers", service="gateway")
    call = await sender.span("CreateServer", root, after_ms=1, project_id=project, resource_id=server)
    await sender.span("step claim host", call, after_ms=3, error="No host.", project_id=project)
    await sender.span("SELECT", call, after_ms=2)
    trace = await get(database, user(project), sender.trace_id)
    assert [span.name for span in trace.spans] == [
        "POST /compute/v1/servers", "CreateServer", "SELECT", "step claim host"
    ]  # fmt: skip
    assert trace.spans[3].status_message == "No host."
    assert trace.summary.spans == 4
    assert trace.summary.errors == 1
    assert trace.summary.services == ["compute", "gateway"]
    assert trace.summary.resource_id == server


async def test_traces_are_found_by_resource_operation_error_and_length(database: Database) -> None:
    project, server, operation = ids.new(), ids.new(), ids.new()
    receiver = Receiver(database)
    boot, other = Sender(receiver), Sender(receiver)
    await boot.span("CreateServer", project_id=project, resource_id=server)
    about = {"project_id": project, "operation_id": operation, "operation_kind": "server.boot"}
    await boot.span("flow server.boot", after_ms=500, error="No host.", **about)
    await other.span("GetServer", after_ms=900, project_id=project)

    async def ids_of(**filters: object) -> list[str]:
        return [item.trace_id for item in (await find(database, user(project), **filters)).traces]

    assert await ids_of() == [other.trace_id, boot.trace_id]
    assert await ids_of(resource_id=server) == [boot.trace_id]
    assert await ids_of(operation_id=operation) == [boot.trace_id]
    assert await ids_of(operations_only=True) == [boot.trace_id]
    assert await ids_of(errors_only=True) == [boot.trace_id]
    assert await ids_of(min_duration=Duration(nanos=100_000_000)) == [boot.trace_id]
    assert await ids_of(resource_id=ids.new()) == []


async def test_pages_hold_every_trace_once(database: Database) -> None:
    project = ids.new()
    senders = [Sender(Receiver(database)) for _ in range(5)]
    for number, sender in enumerate(senders):
        await sender.span("GetServer", after_ms=number, project_id=project)
    caller, seen, token = user(project), [], ""
    while True:
        answer = await find(database, caller, page_size=2, page_token=token)
        seen += [item.trace_id for item in answer.traces]
        if not (token := answer.next_page_token):
            break
    assert seen == [sender.trace_id for sender in reversed(senders)]


async def test_another_projects_trace_is_not_found_even_by_who_continues_it(database: Database) -> None:
    mine, theirs = ids.new(), ids.new()
    sender = Sender(Receiver(database))
    root = await sender.span("POST /compute/v1/servers", service="gateway")
    call = await sender.span("CreateServer", root, after_ms=1, project_id=mine)
    with pytest.raises(CloudError, match="There is no trace"):
        await get(database, user(theirs), sender.trace_id)
    intruder = Sender(Receiver(database), sender.trace_id)
    forged = await intruder.span("GET /compute/v1/servers", call, service="gateway", after_ms=2)
    await intruder.span("ListServers", forged, after_ms=3, project_id=theirs)
    seen = [span.name for span in (await get(database, user(theirs), sender.trace_id)).spans]
    assert seen == ["GET /compute/v1/servers", "ListServers"]
    assert [span.name for span in (await get(database, user(mine), sender.trace_id)).spans] == [
        "POST /compute/v1/servers", "CreateServer"
    ]  # fmt: skip
    assert len((await get(database, SYSTEM, sender.trace_id)).spans) == 4


async def test_malformed_spans_are_left_out_and_the_others_kept(database: Database) -> None:
    project = ids.new()
    sender = Sender(Receiver(database))
    request = trace_service_pb2.ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="no ids")
    await sender.receiver.Export(request, None)
    circular = await sender.span("a", project_id=project)
    spans = await database.read(traces.get, sender.trace_id)
    assert [span.name for span in spans] == ["a"]
    looped = replace(spans[0], span_id="f" * 16, parent_span_id="f" * 16, attributes={})
    await database.write(traces.add, [looped])
    trace = await get(database, user(project), sender.trace_id)
    assert [span.span_id for span in trace.spans] == [circular]


async def test_old_traces_are_forgotten_and_young_ones_kept(database: Database) -> None:
    project = ids.new()
    old, young = Sender(Receiver(database)), Sender(Receiver(database))
    await old.span("GetServer", project_id=project, resource_id=ids.new())
    age = datetime.now(UTC) - NOW
    after = int((age - timedelta(days=1)) / timedelta(milliseconds=1))
    await young.span("GetServer", after_ms=after, project_id=project)
    assert await database.write(traces.forget, timedelta(days=7)) is False
    assert [item.trace_id for item in (await find(database, SYSTEM)).traces] == [young.trace_id]
    assert await database.read(traces.get, old.trace_id) == []
