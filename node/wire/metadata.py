"""The metadata server: one in this process for all networks, listening inside each network's namespace.

Who asks is known by the network and the source address: the filters let a guest use its own alone, and the
namespace answers each address to the MAC that the plan gives it.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from node.wire import http, metadata_space, namespaces

log = logging.getLogger(__name__)
Documents = Callable[[str], Mapping[str, bytes] | None]
"""From a port's id to its guest's documents by path, without slashes at the ends; None: no guest has it."""
Ask = Callable[[str, str, str, bytes], Awaitable[http.Answer] | None]
"""The same for what takes a while: from a port's id, a path, the method and the body; None: no question."""


@dataclass(slots=True)
class _Place:
    identity: int
    server: asyncio.Server


class MetadataServer:
    """Serves in the namespaces that it was last given. For the loop's thread."""

    def __init__(self, documents: Documents, ask: Ask) -> None:
        self._documents, self._asked = documents, ask
        self._places: dict[str, _Place] = {}
        self._ports: Mapping[str, Mapping[str, str]] = {}

    async def serve(self, ports: Mapping[str, Mapping[str, str]]) -> None:
        """Serve exactly these: by the name of the namespace, ids of ports by their addresses."""
        self._ports = ports
        for space in self._places.keys() - ports.keys():
            self._close(space)
        for space in ports:
            identity, place = namespaces.identity(space), self._places.get(space)
            if place is not None and place.identity == identity:
                continue
            self._close(space)
            if identity is not None:
                await self._open(space, identity)

    async def close(self) -> None:
        """Serve nobody."""
        await self.serve({})

    async def _open(self, space: str, identity: int) -> None:
        try:
            listener = await asyncio.to_thread(_listen, space)
        except OSError as error:  # its link went meanwhile; it is served when it is back
            log.warning("no metadata in %s: %s", space, error)
            return
        loop = asyncio.get_running_loop()
        lookup, ask = partial(self._lookup, space), partial(self._ask, space)
        server = await loop.create_server(lambda: http.Connection(lookup, ask), sock=listener)
        self._places[space] = _Place(identity, server)

    def _close(self, space: str) -> None:
        place = self._places.pop(space, None)
        if place is not None:
            place.server.close()

    def _lookup(self, space: str, client: str, path: str) -> bytes | None:
        port_id = self._ports.get(space, {}).get(client)
        documents = self._documents(port_id) if port_id else None
        if documents is None:
            return None
        return documents.get(_plain(path))

    def _ask(self, space: str, client: str, path: str, method: str, body: bytes) -> Any:
        port_id = self._ports.get(space, {}).get(client)
        return self._asked(port_id, _plain(path), method, body) if port_id else None


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part)


def _listen(space: str) -> socket.socket:
    with namespaces.inside(space):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((metadata_space.ADDRESS, metadata_space.PORT))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
