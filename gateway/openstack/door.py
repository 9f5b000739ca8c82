"""The way of one request through a dialect: route, version, token, handler, fault."""

import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.routing import Route as Path
from starlette.types import Receive, Scope, Send

from gateway.openstack import faults
from gateway.openstack.call import Call
from gateway.openstack.dialect import Dialect, Route, text
from gateway.openstack.faults import Fault, NotAllowed, Refusal
from gateway.openstack.upstream import Services, act_for
from mesh.errors import CloudError

_log = logging.getLogger(__name__)
_PARAMETER = re.compile(r"{(\w+)}")
_PROJECT = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
Methods = dict[str, Route]


class Door:
    """An ASGI application that answers one dialect."""

    def __init__(self, dialect: Dialect, services: Services) -> None:
        self._dialect, self._services = dialect, services
        self._exact: dict[str, Methods] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], Methods]] = {}
        for route in dialect.routes:
            self._methods(route.path)[route.method] = route

    def routes(self) -> list[Path | Mount]:
        """Where it is mounted: the place itself, and everything below it."""
        return [Path(self._dialect.mount, self), Mount(self._dialect.mount, self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        if request.url.path.startswith(f"{self._dialect.mount}/v1/"):
            raise HTTPException(404)  # of the contracts' own REST, whose errors are problem details
        request_id = f"req-{uuid.uuid4()}"
        response = await self._answer(request, request_id)
        said = response.headers.setdefault("x-openstack-request-id", request_id)
        if self._dialect.name == "compute":
            response.headers["x-compute-request-id"] = said
        await response(scope, receive, send)

    async def _answer(self, request: Request, request_id: str) -> Response:
        token = request.headers.get("x-auth-token", "")
        act_for(token, request.headers)
        said: dict[str, str] = {}
        params: Mapping[str, str] = {}
        try:
            if not token.isascii() or not token.isprintable():
                raise Refusal(401, "The token is none.")
            version = (0, 0)
            if self._dialect.microversions is not None:
                version = self._dialect.microversions.asked(request.headers)
                said = self._dialect.microversions.said(version)
            route, params = self._find(request.method, request.url.path)
            if version < route.since:
                raise Refusal(404, f"This is there from microversion {text(route.since)} on.")
            call = Call(request, params, self._services, self._dialect.mount, version)
            if route.administers:
                await call.administer()
            response = _made(await route.handler(call), route.status)
        except Refusal as refusal:
            fault = Fault(refusal.status, refusal.message, request_id, code=refusal.code)
            response = self._fault(request, fault)
            if isinstance(refusal, NotAllowed):
                response.headers["allow"] = refusal.allowed
        except CloudError as error:
            fault = faults.from_error(error, self._dialect.statuses, request_id)
            if error.reason == "INVALID_ARGUMENT" and any(_no_id(*item) for item in params.items()):
                fault = Fault(404, "There is no such resource: ids are UUIDs.", request_id, "NOT_FOUND")
            response = self._fault(request, fault)
        except ClientDisconnect:
            response = self._fault(request, Fault(400, "The request ended before its end.", request_id))
        except Exception:  # noqa: BLE001 - every failure leaves as a fault
            _log.exception("a dialect failed")
            message = "Something is wrong inside of weft; the trace id finds it."
            response = self._fault(request, Fault(500, message, request_id))
        response.headers.update(said)
        return response

    def _find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        if not path.isprintable():  # also what would end a header, where it comes back in one
            raise Refusal(400, "The path has characters in it that cannot be printed.")
        path = path.removeprefix(self._dialect.mount) or "/"
        if self._dialect.versioned:
            path = _without_project(path, self._dialect.versioned)
        # Elsewhere than at a version, a slash at the end is an id that is missing, but not to Keystone.
        if path.count("/") == 2 or self._dialect.any_slash:
            path = path.rstrip("/") or "/"
        params: Mapping[str, str] = {}
        methods = self._exact.get(path)
        if methods is None:
            for pattern, candidates in self._patterns.values():
                if found := pattern.fullmatch(path):
                    methods, params = candidates, found.groupdict()
                    break
        if methods is None:
            raise Refusal(404, f"{self._dialect.mount}{path}: The resource could not be found.")
        if method not in methods:
            raise NotAllowed(method, methods)
        return methods[method], params

    def _methods(self, path: str) -> Methods:
        if not _PARAMETER.search(path):
            return self._exact.setdefault(path, {})
        # Between literals, so that a dot or a colon in a path is itself.
        pieces = _PARAMETER.split(path)
        pattern = "".join(
            f"(?P<{piece}>[^/]+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces)
        )
        return self._patterns.setdefault(path, (re.compile(pattern), {}))[1]

    def _fault(self, request: Request, fault: Fault) -> Response:
        shape = faults.identity if fault.status == 401 else self._dialect.shape
        response = shape(replace(fault, accept=request.headers.get("accept", "")))
        if fault.status == 401:
            uri = f"{request.url.scheme}://{request.headers.get('host', '')}/identity"
            response.headers["www-authenticate"] = f'Keystone uri="{uri}"'
        return response


def _without_project(path: str, versioned: str) -> str:
    """`/v3/<project>/volumes` → `/v3/volumes`; what is asked of compute's version 2.0 is 2.1's."""
    empty, version, *rest = path.split("/")
    if version == "v2" and versioned == "v2.1" and any(rest):
        return _without_project("/".join((empty, versioned, *rest)), versioned)
    if version == versioned and rest and _PROJECT.fullmatch(rest[0]):
        return "/".join((empty, version, *rest[1:]))
    return path


def _no_id(name: str, value: str) -> bool:
    """Whether a parameter that stands for an id cannot be one: clients try names as ids first."""
    if name != "id" and not name.endswith("_id"):
        return False
    try:
        return str(uuid.UUID(value)) != value.lower()
    except ValueError:
        return True


def _made(answer: Any, status: int) -> Response:
    if isinstance(answer, Response):
        return answer
    if answer is None:
        return Response(status_code=status)
    return Response(orjson.dumps(answer), status, media_type="application/json")
