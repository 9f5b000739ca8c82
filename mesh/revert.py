"""An undo stack for work within one process: what was added is undone in reverse unless all went well."""

import inspect
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

_log = logging.getLogger(__name__)


class Revert:
    """`with Revert() as revert: ...; revert.add(undo, *args); ...; revert.success()`, or `async with`.

    Undos may be coroutine functions under `async with`. One that fails is logged, and the others still run.
    """

    def __init__(self) -> None:
        self._undos: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def add(self, undo: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """Call `undo(*args, **kw)` on the way out, before those added earlier."""
        self._undos.append((undo, args, kw))

    def success(self) -> None:
        """Everything went well: undo nothing."""
        self._undos.clear()

    def __enter__(self) -> "Revert":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._undos:
            undo, args, kw = self._undos.pop()
            try:
                undo(*args, **kw)
            except Exception:  # noqa: BLE001 - logged, and the other undos still run
                _log.exception("an undo failed: %s", undo)

    async def __aenter__(self) -> "Revert":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._undos:
            undo, args, kw = self._undos.pop()
            try:
                result = undo(*args, **kw)
                if inspect.isawaitable(result):
                    await result
            except Exception:  # noqa: BLE001 - logged, and the other undos still run
                _log.exception("an undo failed: %s", undo)
