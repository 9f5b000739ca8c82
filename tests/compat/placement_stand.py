"""Placement alone, empty, its dialect at the root of an HTTP port: what its own tests want to talk to."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.openstack.door import Door
from gateway.openstack.placement import DIALECT
from gateway.openstack.upstream import Services
from mesh import settings
from mesh.certificates import Identity
from tests.services.harness import person
from tests.services.placement.conftest import Placement, running


class Login:
    """Those tests log in by the token `user` or `user:project`; all but `admin` have no role."""

    def __init__(self, app: ASGIApp, placement: Placement) -> None:
        self._app = app
        self._admin = placement.people.register(person("", "admin", scope="system"))
        self._other = placement.people.register(person("", scope="none"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with the token that it means."""
        said = dict(scope.get("headers", ()))
        if token := said.get(b"x-auth-token"):
            said[b"x-auth-token"] = (
                self._admin if token.partition(b":")[0] == b"admin" else self._other
            ).encode()
            scope = {**scope, "headers": list(said.items())}
        await self._app(scope, receive, send)


@asynccontextmanager
async def standing() -> AsyncIterator[int]:
    """Within the block it answers on that port of loopback."""
    with tempfile.TemporaryDirectory(prefix="wt-") as folder:
        environ = {"WEFT_CLOUD__STATE": folder, "WEFT_TRACING__ENABLED": "false"}
        environ["WEFT_SERVICES__PLACEMENT__ADDRESS"] = f"unix:{folder}/run/placement-0.sock"
        found = settings.load(environ=environ)
        async with running(found, [f"sqlite:///{folder}/placement.db"]) as (placement,):
            services = Services(found, placement.runtime.authority.issue(Identity.gateway()))
            door = Door(replace(DIALECT, mount=""), services)
            config = uvicorn.Config(Login(door, placement), log_config=None, access_log=False, lifespan="off")
            server = uvicorn.Server(config)
            # Whoever connects before it serves waits in the socket's queue.
            with socket.create_server(("127.0.0.1", 0)) as listener:
                job = asyncio.create_task(server._serve(sockets=[listener]))
                yield listener.getsockname()[1]
                server.should_exit = True
                await job
