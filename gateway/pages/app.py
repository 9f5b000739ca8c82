"""The Starlette application behind the edge. It holds no state and no rights: pages call the REST API."""

import importlib.util
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.edge.contracts import OPENAPI
from gateway.edge.problems import CONTENT_TYPE
from gateway.openstack import app as openstack
from mesh.certificates import Authority
from mesh.settings import Settings

_HERE = Path(__file__).parent
_STRICT = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
# Swagger UI writes styles and images into the page itself.
_DOCS = _STRICT + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


def application(settings: Settings, authority: Authority) -> Starlette:
    """The application."""

    async def index(request: Request) -> Response:
        return RedirectResponse("/ui/")

    async def icon(request: Request) -> Response:
        return FileResponse(_HERE / "ui" / "icon.svg")

    async def openapi(request: Request) -> Response:
        return FileResponse(OPENAPI, media_type="application/openapi+json")

    async def ca(request: Request) -> Response:
        return Response(authority.ca_pem, media_type="application/x-pem-file")

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def docs(request: Request) -> Response:
        return FileResponse(_HERE / "docs.html")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/favicon.ico", icon),
            Route("/openapi.json", openapi),
            Route("/ca.crt", ca),
            Route("/healthz", health),
            Route("/docs", docs),
            Mount("/docs/assets", StaticFiles(directory=_swagger())),
            Mount("/docs", StaticFiles(directory=_HERE / "docs")),
            Mount("/ui", StaticFiles(directory=_HERE / "ui", html=True)),
            *openstack.routes(settings, authority),
        ],
        middleware=[Middleware(_Hardened)],
        exception_handlers={HTTPException: _problem, Exception: _defect},
    )


def _swagger() -> Path:
    """Swagger UI's files, from the wheel that carries them; the wheel's own code is not run."""
    found = importlib.util.find_spec("flask_openapi3_swagger")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "templates" / "swagger"


class _Hardened:
    """Says with each answer what a browser must not do with it.

    Starlette's own middleware of functions takes a task and a stream for each answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        policy = _DOCS if scope.get("path", "").startswith("/docs") else _STRICT

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = policy
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "no-referrer"
            await send(message)

        await self._app(scope, receive, hardened)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _details(request, error.status_code, error.detail)


async def _defect(request: Request, error: Exception) -> Response:
    return _details(request, 500, "Something is wrong inside of weft; the trace id finds it.")


def _details(request: Request, status: int, detail: str) -> Response:
    reason = {404: "NOT_FOUND", 405: "UNSUPPORTED"}.get(
        status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"
    )
    problem = {
        "type": f"urn:weft:error:{reason.lower().replace('_', '-')}",
        "title": reason.replace("_", " ").capitalize(),
        "status": status,
        "detail": f"{request.method} {request.url.path}: {detail}",
        "instance": request.url.path,
        "reason": reason,
        "trace_id": request.headers.get("traceparent", "--").split("-")[1],
    }
    return JSONResponse(problem, status, media_type=CONTENT_TYPE)
