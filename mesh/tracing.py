"""One trace from the edge to the kernel: spans of each process, sent by OTLP to telemetry and to a collector.

Every service of a process has a tracer of its own, so that spans carry its name; all share one exporter.
"""

import asyncio
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Sequence
from contextvars import ContextVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from mesh.certificates import Identity, Leaf, Pair, channel_credentials
from mesh.settings import Settings

# A trace is looked at right after what it tells of: spans wait no longer than this many milliseconds.
_EXPORT_EVERY = 500
_PATIENCE = 1.0
_STANDARD = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_USUAL = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_propagator = TraceContextTextMapPropagator()
_NONE: Tracer = trace.NoOpTracer()
_tracer: ContextVar[Tracer] = ContextVar("weft_tracer", default=_NONE)


class Telemetry(SpanExporter):
    """Sends spans to weft's own telemetry service, over mutual TLS with whatever certificate is current."""

    def __init__(self, address: str, leaf: Leaf) -> None:
        self._address, self._leaf = address, leaf
        self._pair: Pair | None = None
        self._inner: OTLPSpanExporter | None = None
        self._closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Called by the batching thread."""
        if self._closed:
            return SpanExportResult.FAILURE
        pair = self._leaf.pair()
        if self._inner is None or pair is not self._pair:
            self._drop()
            self._pair, self._inner = pair, self._connect(pair)
        return self._inner.export(spans)

    def _connect(self, pair: Pair) -> OTLPSpanExporter:
        credentials = channel_credentials(self._leaf.ca_pem, pair)
        name = (("grpc.ssl_target_name_override", Identity.service("telemetry").dns),)
        return OTLPSpanExporter(
            self._address, insecure=False, credentials=credentials, channel_options=name, timeout=5
        )

    def shutdown(self) -> None:
        """Send no more."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        if self._inner is not None:
            self._inner.shutdown()


class Exporting:
    """The span processors of one process, which shows `leaf` to telemetry."""

    def __init__(self, settings: Settings, leaf: Leaf) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a collector that is away is no event
        self._settings = settings
        self._exporters: list[SpanExporter] = []
        self.processors: list[SpanProcessor] = []
        if not settings.tracing.enabled:
            return
        for exporter in (Telemetry(settings.address("telemetry"), leaf), _collector(settings)):
            if exporter is not None:
                self._exporters.append(exporter)
                self.processors.append(BatchSpanProcessor(exporter, schedule_delay_millis=_EXPORT_EVERY))

    def tracer(self, service: str) -> Tracer:
        """The tracer of one service; one that records nothing when tracing is off."""
        if not self._settings.tracing.enabled:
            return _NONE
        provider = TracerProvider(
            resource=Resource.create(
                {"service.name": service, "service.namespace": self._settings.cloud.name}
            ),
            sampler=ParentBased(TraceIdRatioBased(self._settings.tracing.sample)),
            shutdown_on_exit=False,
        )
        for processor in self.processors:
            provider.add_span_processor(processor)
        return provider.get_tracer("weft")

    def close(self) -> None:
        """Send what is left, for at most a second or two."""
        for exporter, processor in zip(self._exporters, self.processors, strict=True):
            # Shutting a processor down sends all that waits; one whose collector is away would take minutes.
            patience = threading.Timer(_PATIENCE, exporter.shutdown)
            patience.start()
            processor.shutdown()
            patience.cancel()


def _collector(settings: Settings) -> OTLPSpanExporter | None:
    """The collector that the settings or the standard variables name, if any."""
    endpoint = settings.tracing.otlp_endpoint
    if not endpoint and not any(os.environ.get(name) for name in _STANDARD):
        return None
    return OTLPSpanExporter(endpoint or None, insecure=endpoint.startswith("http://") or None, timeout=5)


def use(tracer: Tracer) -> None:
    """From here on (in this task), spans are this tracer's."""
    _tracer.set(tracer)


class Opened:
    """A span that is the one at hand within a block, and ends with it.

    `fails`: an exception out of the block marks it failed. SDK's own context managers are three generators
    deep, and there is one around every call and step.
    """

    __slots__ = ("_fails", "_span", "_token")

    def __init__(self, span: Span, *, fails: bool) -> None:
        self._span, self._fails = span, fails

    def __enter__(self) -> Span:
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        otel_context.detach(self._token)
        if self._fails and isinstance(error, Exception) and self._span.is_recording():
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self._end()

    def _end(self) -> None:
        self._span.end()


def span(
    name: str,
    *,
    tracer: Tracer | None = None,
    parent: otel_context.Context | None = None,
    **attributes: AttributeValue,
) -> Opened:
    """A span of the work in the block; an exception marks it failed. Attribute names: `_` stands for `.`."""
    named = {key.replace("_", "."): value for key, value in attributes.items()}
    opened = (tracer or _tracer.get()).start_span(name, context=parent, attributes=named)
    return Opened(opened, fails=True)


class Served(Opened):
    """The span of a call that is answered, which says itself whether it failed.

    It is handed on when the event loop comes round again: the answer goes first.
    """

    __slots__ = ()

    def _end(self) -> None:
        asyncio.get_running_loop().call_soon(self._span.end, time.time_ns())


def served(tracer: Tracer, name: str, parent: otel_context.Context) -> Opened:
    """The span of a call that is answered."""
    return Served(tracer.start_span(name, parent, SpanKind.SERVER), fails=False)


def parent_from(traceparent: str, tracestate: str = "") -> otel_context.Context:
    """The context of a W3C traceparent; an empty or broken one begins a new trace."""
    if not traceparent:
        return otel_context.Context()
    usual = None if tracestate else _USUAL.fullmatch(traceparent)
    if usual is None:
        carried = {"traceparent": traceparent, "tracestate": tracestate}
        return _propagator.extract(carried, otel_context.Context())
    trace_id, span_id, flags = (int(part, 16) for part in usual.groups())
    remote = SpanContext(trace_id, span_id, True, TraceFlags(flags))
    return trace.set_span_in_context(NonRecordingSpan(remote), otel_context.Context())


def carrier() -> dict[str, str]:
    """traceparent and tracestate of the span at hand; empty outside of any."""
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return {}
    parent = {"traceparent": _format(found)}
    return parent | {"tracestate": found.trace_state.to_header()} if found.trace_state else parent


def traceparent() -> str:
    """The W3C traceparent of the span at hand, "" outside of any."""
    found = trace.get_current_span().get_span_context()
    return _format(found) if found.is_valid else ""


def _format(found: SpanContext) -> str:
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def trace_id() -> str:
    """The id of the trace at hand (32 hex digits), "" outside of any."""
    found = trace.get_current_span().get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else ""


def new_trace_id() -> str:
    """An id for an answer that no trace tells of."""
    return secrets.token_hex(16)
