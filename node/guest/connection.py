"""One connection to libvirt that is made again whenever it is lost, and errors that say no host paths."""

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from typing import TypeVar

import libvirt

from mesh import tracing
from mesh.errors import CloudError
from node.guest import events

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_PATH = re.compile(r"/[\w.+-]+(?:/[\w.+-]+)+")
_CONTEXT = "weft"


class Connection:
    """Runs functions of a virConnect off the event loop. `ensure` starts the daemon where it is ours.

    `prepare` is called with each new connection, to register for its events; `lost` from libvirt's thread
    when one breaks.
    """

    def __init__(
        self,
        uri: str,
        ensure: Callable[[], None],
        prepare: Callable[[libvirt.virConnect], None],
        lost: Callable[[], None],
    ) -> None:
        self._uri = uri
        self._ensure = ensure
        self._prepare = prepare
        self._lost = lost
        self._connection: libvirt.virConnect | None = None
        self._lock = threading.Lock()

    async def run(self, name: str, fn: Callable[[libvirt.virConnect], _T]) -> _T:
        """`fn(connection)` in a thread and a span; once more when the connection turns out to be lost."""
        with tracing.span(f"libvirt {name}"):
            return await self.look(name, fn)

    async def look(self, name: str, fn: Callable[[libvirt.virConnect], _T]) -> _T:
        """The same without a span, for what changes nothing and is asked again and again."""
        return await asyncio.to_thread(self._run, name, fn)

    def close(self) -> None:
        """End it. Blocks."""
        with self._lock:
            self._drop()

    def _run(self, name: str, fn: Callable[[libvirt.virConnect], _T]) -> _T:
        for attempt in (1, 2):
            connection = self._open()
            try:
                return fn(connection)
            except libvirt.libvirtError as error:
                if attempt == 1 and not _alive(connection):
                    _log.warning("the connection to libvirt broke in %s: once more", name)
                    continue
                raise failed(name, error) from error
        raise AssertionError("unreachable")

    def _open(self) -> libvirt.virConnect:
        with self._lock:
            if self._connection is not None and _alive(self._connection):
                return self._connection
            self._drop()
            events.run_loop()
            libvirt.registerErrorHandler(events.quiet, _CONTEXT)
            self._ensure()
            try:
                self._connection = libvirt.open(self._uri)
                if self._uri.startswith("qemu"):  # the others live in this process
                    self._connection.setKeepAlive(5, 3)
                self._connection.registerCloseCallback(self._closed, None)
                self._prepare(self._connection)
            except libvirt.libvirtError as error:
                self._drop()
                raise failed("open", error) from error
            return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.unregisterCloseCallback()
            connection.close()
        except libvirt.libvirtError as error:
            _log.debug("closing a broken connection to libvirt: %s", error)

    def _closed(self, connection: libvirt.virConnect, reason: int, _opaque: object) -> None:
        if reason != libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT:
            self._lost()


def _alive(connection: libvirt.virConnect) -> bool:
    try:
        return connection.isAlive() == 1
    except libvirt.libvirtError:
        return False


def failed(name: str, error: libvirt.libvirtError) -> CloudError:
    """The typed error of a libvirt error; the log has it in full."""
    _log.warning("libvirt refused %s: %s", name, error)
    detail = _PATH.sub("(path)", str(error.get_error_message() or error))
    return CloudError("HYPERVISOR_FAILED", f"libvirt refused ({name}): {detail}", detail=detail)
