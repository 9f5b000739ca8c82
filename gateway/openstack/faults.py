"""How each OpenStack service says that something went wrong."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from http import HTTPStatus

import orjson
from starlette.responses import Response

from mesh.errors import CloudError


class Refusal(Exception):
    """A request that the dialect itself refuses: malformed, or asking for what weft has not.

    `code` is what the refusal is called, in dialects whose faults have a name.
    """

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class NotAllowed(Refusal):
    """A method that a path has not; `allowed` are those that it has."""

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        super().__init__(405, f"The method {method} is not allowed for this resource.")
        self.allowed = ", ".join(sorted(allowed))


@dataclass(frozen=True, slots=True)
class Fault:
    """What a fault document is made of; `reason` and `resource` are empty where the dialect refused.

    `accept` is what the client says that it takes.
    """

    status: int
    message: str
    request_id: str
    reason: str = ""
    resource: str = ""
    code: str = ""
    accept: str = ""

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase


Shape = Callable[[Fault], Response]
# OpenStack's statuses where they are not those that our reasons map to.
COMPUTE = {"QUOTA_EXCEEDED": 403, "NO_VALID_HOST": 500, "CANCELLED": 409}
VOLUME = {"QUOTA_EXCEEDED": 413, "WRONG_STATUS": 400, "IN_USE": 400, "STORAGE_FULL": 413}
NETWORK = {"QUOTA_EXCEEDED": 409, "ADDRESSES_EXHAUSTED": 409}
IMAGE = {"QUOTA_EXCEEDED": 413, "STORAGE_FULL": 413}
PLACEMENT = {"CAPACITY_EXCEEDED": 409}
IDENTITY = {"QUOTA_EXCEEDED": 403, "WRONG_STATUS": 403, "TOO_MANY_ATTEMPTS": 401}
_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    406: "notAcceptable",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def takes_json(accept: str) -> bool:
    """Whether a client that says so takes JSON."""
    kinds = {each.partition(";")[0].strip() for each in accept.split(",")}
    return bool(kinds & {"", "*/*", "application/*", "application/json"})


def from_error(error: CloudError, statuses: dict[str, int], request_id: str) -> Fault:
    """What a failed call of a contract is to the dialect."""
    status = statuses.get(error.reason, error.http_status)
    resource = error.metadata.get("resource_type", "")
    message = "; ".join([error.message, *(f"{field}: {text}" for field, text in error.fields.items())])
    if status == 499:  # of no standard: HTTP has no word for a caller who gave up
        status = 409
    return Fault(status, message, request_id, error.reason, resource)


def identity(fault: Fault) -> Response:
    """Keystone's, which is also every other service's where no token holds."""
    said = {"code": fault.status, "title": fault.title, "message": fault.message}
    return _json(fault, {"error": said})


def compute(fault: Fault) -> Response:
    """Nova's and Cinder's."""
    name = _NAMES.get(fault.status, "computeFault")
    return _json(fault, {name: {"code": fault.status, "message": fault.message}})


def network(fault: Fault) -> Response:
    """Neutron's; clients look at the type."""
    message = fault.message
    if fault.reason == "CIDR_OVERLAP":
        message += " The CIDR overlaps with another subnet."
    return _json(fault, {"NeutronError": {"type": _neutron_type(fault), "message": message, "detail": ""}})


def image(fault: Fault) -> Response:
    """Glance's: a page, whose text clients show."""
    head = f"{fault.status} {fault.title}"
    page = (
        f"<html>\n <head>\n  <title>{head}</title>\n </head>\n <body>\n  <h1>{head}</h1>\n  "
        f"{escape(fault.message)}<br /><br />\n\n\n </body>\n</html>"
    )
    return Response(page, fault.status, media_type="text/html; charset=UTF-8")


def placement(fault: Fault) -> Response:
    """Placement's: a page for who takes no JSON."""
    if not takes_json(fault.accept):
        return image(fault)
    said = {"status": fault.status, "title": fault.title, "detail": fault.message}
    conflict = fault.reason in ("GENERATION_CONFLICT", "REVISION_MISMATCH")
    code = f"placement.{'concurrent_update' if conflict else fault.code or 'undefined_code'}"
    return _json(fault, {"errors": [{**said, "code": code, "request_id": fault.request_id}]})


def _neutron_type(fault: Fault) -> str:
    noun = "".join(part.capitalize() for part in fault.resource.split("_"))
    match fault.reason:
        case "NOT_FOUND":
            return f"{noun}NotFound"
        case "IN_USE":
            return f"{noun}InUse"
        case "QUOTA_EXCEEDED":
            return "OverQuota"
        case "ADDRESSES_EXHAUSTED":
            return "IpAddressGenerationFailure"
        case "ADDRESS_IN_USE":
            return "IpAddressAlreadyAllocated"
        case "PERMISSION_DENIED":
            return "PolicyNotAuthorized"
        case _:
            return {404: "HTTPNotFound", 501: "HTTPNotImplemented"}.get(fault.status, "InvalidInput")


def _json(fault: Fault, document: object) -> Response:
    return Response(orjson.dumps(document), fault.status, media_type="application/json")
