"""The one thing between gRPC and a servicer, fused for speed and in a readable order:

deadline → span → who calls → may they, by role and by token → is the request valid → the servicer → errors.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError, Message
from opentelemetry.trace import Span, Status, StatusCode, Tracer

from mesh import access, access_rules, caller, contract, deadline, errors, peer, ready, tracing, validation
from mesh import logging as weft_logging
from mesh.audit import Recorder, Trail
from mesh.caller import Caller
from mesh.errors import CloudError
from mesh.policy import Policy
from mesh.tokens import Verifier
from weft.options.v1.access_pb2 import Access

_log = logging.getLogger(__name__)
Handler = grpc.RpcMethodHandler
# Streams that go on as long as their reader wants, by the contracts' names for them.
_ENDLESS = ("Watch", "Follow")


class Interceptor:
    """Wraps the handlers of one service."""

    def __init__(
        self, service: str, cloud: str, verifier: Verifier, tracer: Tracer, policy: Policy, trail: Trail
    ) -> None:
        self._service, self._cloud, self._verifier, self._tracer = service, cloud, verifier, tracer
        self._policy, self._trail = policy, trail
        self._watches: set[asyncio.Task[Any]] = set()
        self._draining = False

    def end_watches(self) -> None:
        """Tell who watches to ask elsewhere, or later: a stream without an end cannot be drained."""
        self._draining = True
        for task in self._watches:
            task.cancel()

    def wrap(self, path: str, handler: Handler, rule: Access | None = None) -> Handler:
        """The handler with all checks. `rule` is for RPCs of foreign contracts, which carry none.

        Raises access.RuleMissing when nothing says who may call.
        """
        method = contract.method(path)
        allow = access.compile_rule(path, rule or method.access, self._policy)
        told = Recorder(self._trail, method, rule or method.access or Access())
        call = _Call(self, method, allow, handler, told)
        behaviour = handler.unary_unary or handler.stream_unary
        if behaviour is not None:
            wrapped: Any = call.answering_once(behaviour)
        else:
            wrapped = call.answering_many(handler.unary_stream or handler.stream_stream)
        make = getattr(grpc, f"{_shape(handler)}_rpc_method_handler")
        # Requests are parsed in the wrapper, so that a broken one gets a typed error like any other.
        answers = ready.serializer(handler.response_serializer)
        return make(wrapped, request_deserializer=None, response_serializer=answers)

    async def identify(self, context: Any, metadata: dict[str, Any]) -> Caller:
        """Who calls: by certificate, or by token where the certificate is the gateway's."""
        found = peer.of(context, self._cloud, metadata)
        scheme, _, token = metadata.get("authorization", "").partition(" ")
        if found is None:
            raise CloudError("UNAUTHENTICATED", "The certificate is not of this cloud.")
        if found.kind is caller.Kind.ANONYMOUS and scheme:
            if scheme.lower() != "bearer":
                raise CloudError("UNAUTHENTICATED", "The authorization is no bearer token.")
            return await self._verifier.verify(token.strip())
        if found.kind is caller.Kind.NODE and found.token_id:
            await self._verifier.standing(found)
        return found

    def span(self, method: contract.Method, metadata: dict[str, Any]) -> Any:
        """The span of a call; none for foreign contracts, or spans about spans would never end."""
        if not method.ours:
            return nullcontext(None)
        parent = tracing.parent_from(metadata.get("traceparent", ""), metadata.get("tracestate", ""))
        return tracing.served(self._tracer, method.path.removeprefix("/"), parent)

    @property
    def draining(self) -> bool:
        """Whether the process has been told to stop."""
        return self._draining

    @contextmanager
    def watched(self, method: contract.Method) -> Iterator[None]:
        """Within the block this task answers a stream; one that only its reader ends is known as such."""
        task = asyncio.current_task()
        assert task is not None
        if method.name.startswith(_ENDLESS):
            self._watches.add(task)
        try:
            yield
        finally:
            self._watches.discard(task)

    def enter(self) -> None:
        """Say in whose name this task logs and traces."""
        weft_logging.speak_for(self._service)
        tracing.use(self._tracer)


class _Call:
    """The way of one RPC's calls."""

    def __init__(
        self,
        outer: Interceptor,
        method: contract.Method,
        allow: access.Rule,
        handler: Handler,
        told: Recorder,
    ) -> None:
        self._outer, self._method, self._allow, self._told = outer, method, allow, told
        self._parse: Callable[[bytes], Message] = handler.request_deserializer
        # As it is served: bytes that come and go beside the call (mesh/bulk.py) are no stream of messages.
        self._streamed = handler.request_streaming
        self._lasts = method.client_streaming or method.server_streaming
        self._check = validation.checker(method.request_type)
        self._called = access_rules.names(method.path)

    def answering_once(self, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """For RPCs with one answer."""

        async def handle(raw: Any, context: Any) -> Any:
            metadata, request = dict(context.invocation_metadata()), None
            self._outer.enter()
            with self._outer.span(self._method, metadata) as span:
                try:
                    async with deadline.within(self._limit(context)):
                        request = await self._admit(raw, context, metadata, span)
                        answer = await behaviour(request, context)
                except Exception as error:  # noqa: BLE001 - every failure leaves as a typed error
                    await self._abort(context, error, span, metadata, request)
                context.set_trailing_metadata(_names(metadata))
                # What is kept of the call is seen to when the answer is on its way.
                asyncio.get_running_loop().call_soon(self._keep, context, metadata, span, request, answer)
                return answer

        return handle

    def answering_many(self, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """For RPCs with a stream of answers: they live as long as the client wants."""
        endless = self._method.name.startswith(_ENDLESS)

        async def handle(raw: Any, context: Any) -> AsyncIterator[Any]:
            metadata, request = dict(context.invocation_metadata()), None
            self._outer.enter()
            with self._outer.span(self._method, metadata) as span, self._outer.watched(self._method):
                try:
                    request = await self._admit(raw, context, metadata, span)
                    self._told.let_in(context, metadata, request)
                    begun = False
                    async for answer in behaviour(request, context):
                        if endless:  # it ends with the right to it
                            await self._outer.identify(context, metadata)
                        if not begun:
                            await context.send_initial_metadata(_names(metadata))
                            begun = True
                        yield answer
                except asyncio.CancelledError:
                    if not self._outer.draining:
                        raise
                    await self._abort(context, _stopping(), span, metadata, request)
                except Exception as error:  # noqa: BLE001 - every failure leaves as a typed error
                    await self._abort(context, error, span, metadata, request)

        return handle

    async def _admit(self, raw: Any, context: Any, metadata: dict[str, Any], span: Span | None) -> Any:
        """The request (or the stream of them), once the caller is known, allowed, and it is valid."""
        acting = await self._outer.identify(context, metadata)
        caller.enter(acting)
        self._allow(acting)
        access_rules.check(acting, self._called)
        request = self._stream(raw) if self._streamed else self._valid(raw)
        if span is not None and span.is_recording():
            if acting.project_id:
                span.set_attribute("weft.project.id", acting.project_id)
            span.add_event("admitted")
            _tell_resource(span, request)
        return request

    def _limit(self, context: Any) -> float | None:
        left = context.time_remaining()
        return left if left is not None or self._lasts else deadline.DEFAULT

    def _valid(self, raw: bytes) -> Message:
        try:
            request = self._parse(raw)
        except DecodeError as error:
            name = self._method.request_type.DESCRIPTOR.full_name
            raise CloudError("INVALID_ARGUMENT", f"The request is not a {name}.") from error
        self._check(request)
        if b"\0" in raw:
            validation.refuse_nul(request)
        return request

    async def _stream(self, raw: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        async for message in raw:
            yield self._valid(message)

    def _keep(
        self, context: Any, metadata: dict[str, Any], span: Span | None, request: Any, answer: Any
    ) -> None:
        _tell_resource(span, answer)
        self._told.done(context, metadata, request, answer)

    async def _abort(
        self, context: Any, error: Exception, span: Span | None, metadata: dict[str, Any], request: Any
    ) -> NoReturn:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        trace_id = tracing.trace_id() or tracing.new_trace_id()
        cloud_error = _typed(error, self._method.path)
        if span is not None:
            span.set_status(Status(StatusCode.ERROR, cloud_error.message))
            span.set_attribute("weft.error.reason", cloud_error.reason)
        trailers = (
            ("weft-trace-id", trace_id),
            ("grpc-status-details-bin", errors.to_status(cloud_error, trace_id).SerializeToString()),
            ("weft-problem", errors.problem_header(cloud_error, trace_id)),
        )
        self._told.failed(context, metadata, request, cloud_error, trace_id)
        await context.abort(cloud_error.code, cloud_error.message, trailers)


def _names(metadata: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """What every answer is known by: a stream begins with it, else it stands among the trailers, as that of a
    failure does. Headers of ours would be a message of their own, on its own way from process to process; and
    the edge could not say a failure by the HTTP status.
    """
    trace_id = tracing.trace_id() or tracing.new_trace_id()
    return (("weft-trace-id", trace_id), ("weft-request-id", metadata.get("x-request-id", trace_id)))


def _stopping() -> CloudError:
    return CloudError("UNAVAILABLE", "The service stops: ask again.")


def _typed(error: Exception, path: str) -> CloudError:
    if isinstance(error, CloudError):
        if error.reason == "INTERNAL":
            _log.error("%s failed", path, exc_info=error)
        return error
    if isinstance(error, TimeoutError):
        return CloudError("DEADLINE_EXCEEDED", "The call took longer than its deadline.")
    _log.error("%s failed", path, exc_info=error)
    return CloudError("INTERNAL", "Something is wrong inside of weft; the trace id finds it.")


def _tell_resource(span: Span | None, message: Any) -> None:
    """The id of what the call is about, where the message has one."""
    id = getattr(message, "id", None)
    if span is not None and isinstance(id, str) and id:
        span.set_attribute("weft.resource.id", id)


def _shape(handler: Handler) -> str:
    return "_".join(
        "stream" if s else "unary" for s in (handler.request_streaming, handler.response_streaming)
    )
