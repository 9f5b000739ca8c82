"""Plain functions that give way on the event loop while they wait.

A unit of work is a plain function of a connection. In a thread of its own each statement costs two changes of
thread, with the interpreter's lock changing hands: several times as much as the statement. In a greenlet on
the loop's thread it costs a look at one socket. Whatever such a function does between its statements holds
the loop up, so it does little.
"""

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")
LATER = object()  # what was asked for is there when somebody says so


class Fiber(greenlet):
    """A function that is under way on the event loop, and the future of its answer."""

    def __init__(self, future: asyncio.Future[Any], fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        super().__init__(partial(_outcome, fn, args))
        self.gr_context = contextvars.copy_context()
        self._future = future

    def go_on(self, *said: Any) -> None:
        """Run until it waits again or is through. To be called from outside any fiber."""
        asked = self.switch(*said)
        while not self.dead:
            try:
                if asked(self) is LATER:
                    return
            except Exception as error:  # noqa: BLE001 - it is the asker's
                asked = self.throw(error)
            else:
                asked = self.switch()
        outcome, error = asked
        if not self._future.done():
            self._future.set_result(outcome) if error is None else self._future.set_exception(error)


def _outcome(fn: Callable[..., T], args: tuple[Any, ...]) -> tuple[T | None, BaseException | None]:
    try:
        return fn(*args), None
    except BaseException as error:  # noqa: BLE001 - it is handed to whoever waits
        return None, error


async def run(fn: Callable[..., T], *args: Any) -> T:
    """Run `fn` on this thread until it is through; who waits for it may be cancelled, and it goes on."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    Fiber(future, fn, args).go_on()
    return await future


def outside(ask: Callable[[Fiber | None], object]) -> Any:
    """Have something called outside any fiber: whatever touches the event loop.

    A fiber goes on where it was on the thread's stack, and what the loop has put there meanwhile is aside
    until it gives way: the loop, called from within, would write to memory that is not its own then.
    """
    fiber = getcurrent()
    return fiber.parent.switch(ask) if isinstance(fiber, Fiber) else ask(None)


def inside() -> bool:
    """Whether a fiber asks."""
    return isinstance(getcurrent(), Fiber)
