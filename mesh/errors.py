"""The one kind of error that crosses rooms and processes: a reason of `weft.errors.v1`, with its metadata.

Servicers, stores and flows raise `CloudError`; the interceptor turns it into a google.rpc.Status, stubs turn
that back into a `CloudError`, and the gateway shows it as problem details (RFC 9457).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from weft.errors.v1 import reason_pb2

DOMAIN = "weft"
_PREFIX = "REASON_"
_VALUES = {
    value.name.removeprefix(_PREFIX): value for value in reason_pb2.Reason.DESCRIPTOR.values if value.number
}
_CODES = {
    reason: grpc.StatusCode[code_pb2.Code.Name(value.GetOptions().Extensions[reason_pb2.code])]
    for reason, value in _VALUES.items()
}
_RETRYABLE = frozenset(
    reason for reason, value in _VALUES.items() if value.GetOptions().Extensions[reason_pb2.retryable]
)
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}
# What a code means when the error carries no reason of ours: it came from gRPC itself, or from a proxy.
_FALLBACK = {
    grpc.StatusCode.UNAVAILABLE: "UNAVAILABLE",
    grpc.StatusCode.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    grpc.StatusCode.CANCELLED: "CANCELLED",
    grpc.StatusCode.UNAUTHENTICATED: "UNAUTHENTICATED",
    grpc.StatusCode.PERMISSION_DENIED: "PERMISSION_DENIED",
    grpc.StatusCode.NOT_FOUND: "NOT_FOUND",
    grpc.StatusCode.INVALID_ARGUMENT: "INVALID_ARGUMENT",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "QUOTA_EXCEEDED",
    grpc.StatusCode.UNIMPLEMENTED: "UNSUPPORTED",
}
_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class CloudError(Exception):
    """A failure with a reason that a program can act on.

    `reason` is a value of weft.errors.v1.Reason without its prefix; `metadata` holds the keys that its
    comment lists; `fields` maps the paths of request fields at fault to what is wrong with each;
    `retry_after` is in seconds. Raises ValueError for a reason that the contract does not know.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        fields: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        **metadata: object,
    ) -> None:
        if reason not in _CODES:
            raise ValueError(f"{reason} is not a reason of weft.errors.v1")
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.fields = dict(fields or {})
        self.retry_after = retry_after
        self.trace_id = ""  # of the failed call, where the error came by one
        self.metadata = {key: str(value) for key, value in metadata.items()}

    @property
    def code(self) -> grpc.StatusCode:
        """The canonical gRPC code that goes with the reason."""
        return _CODES[self.reason]

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later without a change to it."""
        return self.reason in _RETRYABLE

    @property
    def http_status(self) -> int:
        """The HTTP status that goes with the reason."""
        return _HTTP.get(self.code, 500)

    def __repr__(self) -> str:
        return f"CloudError({self.reason}: {self.message})"


def not_found(resource_type: str, id: str) -> CloudError:
    """No such resource, or none that the caller may see."""
    return CloudError("NOT_FOUND", f"There is no {resource_type} {id}.", resource_type=resource_type, id=id)


def wrong_status(resource_type: str, id: str, status: str, allowed: Iterable[str]) -> CloudError:
    """The resource's status does not allow the call; `allowed` are those that do."""
    wanted = ",".join(allowed)
    message = f"The {resource_type} {id} is {status}; this needs it to be {wanted.replace(',', ' or ')}."
    return CloudError(
        "WRONG_STATUS", message, resource_type=resource_type, id=id, status=status, allowed=wanted
    )


def invalid(field: str, message: str) -> CloudError:
    """One field of the request is wrong; `field` is its path in the request."""
    return CloudError("INVALID_ARGUMENT", f"{field}: {message}", fields={field: message})


def to_status(error: CloudError, trace_id: str = "") -> status_pb2.Status:
    """As a google.rpc.Status with one ErrorInfo and the typed details that fit."""
    status = status_pb2.Status(code=error.code.value[0], message=error.message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    for detail in (info, *_typed_details(error)):
        status.details.add().Pack(detail)
    if trace_id:
        status.details.add().Pack(error_details_pb2.RequestInfo(request_id=trace_id))
    return status


def _typed_details(error: CloudError) -> Iterable[object]:
    data = error.metadata
    if error.fields:
        violation = error_details_pb2.BadRequest.FieldViolation
        yield error_details_pb2.BadRequest(
            field_violations=[
                violation(field=field, description=text) for field, text in error.fields.items()
            ]
        )
    if error.code is grpc.StatusCode.FAILED_PRECONDITION:
        broken = error_details_pb2.PreconditionFailure.Violation(
            type=error.reason, subject=data.get("id", ""), description=error.message
        )
        yield error_details_pb2.PreconditionFailure(violations=[broken])
    if error.reason == "QUOTA_EXCEEDED":
        limit = error_details_pb2.QuotaFailure.Violation(
            subject=data.get("resource", ""), description=error.message
        )
        yield error_details_pb2.QuotaFailure(violations=[limit])
    if "resource_type" in data:
        yield error_details_pb2.ResourceInfo(
            resource_type=data["resource_type"], resource_name=data.get("id", data.get("name", ""))
        )
    if error.retry_after is not None:
        delay = Duration()
        delay.FromMicroseconds(int(error.retry_after * 1e6))
        yield error_details_pb2.RetryInfo(retry_delay=delay)


def from_status(status: status_pb2.Status) -> CloudError:
    """The CloudError that a status tells of; a status without a reason of ours is mapped by its code."""
    info, bad, retry, asked = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.RequestInfo(),
    )
    for detail in status.details:
        for target in (info, bad, retry, asked):
            if detail.Is(target.DESCRIPTOR):
                detail.Unpack(target)
    if info.domain != DOMAIN or info.reason not in _CODES:
        code = _BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
        return CloudError(_FALLBACK.get(code, "INTERNAL"), status.message or code.name)
    error = CloudError(
        info.reason,
        status.message,
        fields={item.field: item.description for item in bad.field_violations},
        retry_after=retry.retry_delay.ToMicroseconds() / 1e6 if retry.HasField("retry_delay") else None,
    )
    error.metadata.update(info.metadata)
    error.trace_id = asked.request_id
    return error


def from_rpc_error(error: grpc.RpcError) -> CloudError:
    """The CloudError that a failed call answers, whatever it was that answered."""
    trailers = error.trailing_metadata() or ()
    for key, value in trailers:
        if key == "grpc-status-details-bin":
            try:
                return from_status(status_pb2.Status.FromString(value))
            except DecodeError:
                break
    code = grpc.StatusCode.UNAVAILABLE if is_unavailable(error) else error.code()
    return from_status(status_pb2.Status(code=code.value[0], message=error.details() or ""))


def is_unavailable(error: grpc.RpcError) -> bool:
    """Whether nobody was there to answer, or not until the end of the answer.

    An answer that breaks off in the middle, as a proxy passes it on when the service behind it dies, is
    INTERNAL to gRPC; nobody who answers ever says that of himself.
    """
    if error.code() is grpc.StatusCode.INTERNAL:
        return "RST_STREAM" in (error.details() or "")
    return error.code() is grpc.StatusCode.UNAVAILABLE


def to_problem(error: CloudError, trace_id: str = "", instance: str = "") -> dict[str, object]:
    """As problem details (RFC 9457); `reason`, `metadata`, `trace_id` and `errors` are extension members."""
    problem: dict[str, object] = {
        "type": f"urn:weft:error:{error.reason.lower().replace('_', '-')}",
        "title": error.reason.replace("_", " ").capitalize(),
        "status": error.http_status,
        "detail": error.message,
        "reason": error.reason,
        "metadata": error.metadata,
    }
    if instance:
        problem["instance"] = instance
    if trace_id:
        problem["trace_id"] = trace_id
    if error.fields:
        problem["errors"] = [{"field": field, "detail": text} for field, text in error.fields.items()]
    if error.retry_after is not None:
        problem["retry_after"] = error.retry_after
    return problem


def from_problem(problem: Mapping[str, Any]) -> CloudError:
    """The CloudError that problem details tell of; those without a reason of ours come from elsewhere."""
    reason, detail = str(problem.get("reason", "")), str(problem.get("detail", ""))
    if reason not in _CODES:
        return CloudError("INTERNAL", detail or "The answer was no problem of this cloud.")
    fields = {each["field"]: each["detail"] for each in problem.get("errors", ())}
    error = CloudError(reason, detail, fields=fields, retry_after=problem.get("retry_after"))
    error.metadata.update(problem.get("metadata", {}))
    error.trace_id = problem.get("trace_id", "")
    return error


def problem_header(error: CloudError, trace_id: str = "") -> str:
    """The problem details as JSON in ASCII: the trailer `weft-problem`, which the gateway shows as a body."""
    return json.dumps(to_problem(error, trace_id))
