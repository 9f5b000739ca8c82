"""Plain functions that give way on the event loop while PostgreSQL works.

A unit of work is a plain function of a connection. In a thread of its own each statement costs two changes of
thread, with the interpreter's lock changing hands: several times as much as the statement. In a greenlet on
the loop's thread it costs a look at one socket. Whatever such a function does between its statements holds
the loop up, so it does little.
"""

import asyncio
import contextvars
import select
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import psycopg
from greenlet import getcurrent, greenlet
from psycopg.waiting import Ready, Wait

T = TypeVar("T")
_LATER = object()  # what was asked for is there when somebody says so
# Statements that a connection keeps prepared: more than any service has that run often.
_PREPARED = 500


class _Fiber(greenlet):
    """A function that is under way on the event loop, and the future of its answer."""

    def __init__(self, future: asyncio.Future[Any], fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        super().__init__(partial(_outcome, fn, args))
        self.gr_context = contextvars.copy_context()
        self._future = future

    def go_on(self, *said: Any) -> None:
        """Run until it waits again or is through. To be called from outside any fiber."""
        asked = self.switch(*said)
        while not self.dead:
            if asked(self) is _LATER:
                return
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
    _Fiber(future, fn, args).go_on()
    return await future


def _outside(ask: Callable[[_Fiber | None], object]) -> Any:
    """Have something called outside any fiber: whatever touches the event loop.

    A fiber goes on where it was on the thread's stack, and what the loop has put there meanwhile is aside
    until it gives way: the loop, called from within, would write to memory that is not its own then.
    """
    fiber = getcurrent()
    return fiber.parent.switch(ask) if isinstance(fiber, _Fiber) else ask(None)


class SeveralStatements(Exception):
    """What was held to one statement wants to make another."""


class Cursor(psycopg.Cursor[Any]):
    """A cursor whose statements are counted."""

    __slots__ = ()

    def execute(self, *args: Any, **options: Any) -> "Cursor":
        """As ever. Raises SeveralStatements where only one was allowed."""
        self.connection.about_to_execute()  # type: ignore[attr-defined]
        return super().execute(*args, **options)


class Connection(psycopg.Connection[Any]):
    """A connection that, when a fiber uses it, waits on the event loop; in a thread it waits as ever."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cursor_factory = Cursor
        self.prepared_max = _PREPARED
        self.refused = False  # whether a statement was, since `allow`
        self._left: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # which watches the socket
        self._socket = -1
        self._waiting: _Fiber | None = None

    def allow(self, statements: int | None) -> None:
        """From here on take so many statements; None is any number."""
        self._left, self.refused = statements, False

    def about_to_execute(self) -> None:
        """Count a statement. Raises SeveralStatements when there are to be no more."""
        if self._left is None:
            return
        if not self._left:
            self.refused = True
            raise SeveralStatements
        self._left -= 1

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Go on with the driver's generator each time that the socket is as it wants it."""
        if not isinstance(getcurrent(), _Fiber):
            return super().wait(gen, *args, **options)
        try:
            wants = next(gen)
            while True:
                wants = gen.send(self._until(wants))
        except StopIteration as ended:
            return ended.value
        except BaseException:
            _outside(self._unwatch)  # the driver may have closed the socket: its number is another's soon
            raise

    def close(self) -> None:
        """Let go of the server; on the loop that it was used on, if on any."""
        _outside(self._unwatch)
        super().close()

    def _until(self, wants: int) -> Any:
        """Give way until the socket can be read, or written to where that is wanted too."""
        if not wants & Wait.W:
            return _outside(self._watch)
        if ready := _polled(self.pgconn.socket):
            return ready
        return _outside(self._watch_both)

    def _watch(self, fiber: _Fiber | None) -> object:
        if self._loop is None:
            self._loop, self._socket = asyncio.get_running_loop(), self.pgconn.socket
            self._loop.add_reader(self._socket, self._go_on, Ready.R)
        self._waiting = fiber
        return _LATER

    def _watch_both(self, fiber: _Fiber | None) -> object:
        later = self._watch(fiber)
        cast(asyncio.AbstractEventLoop, self._loop).add_writer(self._socket, self._can_be_written)
        return later

    def _can_be_written(self) -> None:
        cast(asyncio.AbstractEventLoop, self._loop).remove_writer(self._socket)
        self._go_on(Ready.W)

    def _go_on(self, ready: Ready) -> None:
        fiber, self._waiting = self._waiting, None
        if fiber is None:
            self._unwatch()  # it said something unasked, as a server does that goes away
        else:
            fiber.go_on(ready)

    def _unwatch(self, _: object = None) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._socket)
            loop.remove_writer(self._socket)


def _polled(socket: int) -> Ready | None:
    """What can be done right now: a socket that is to be written to nearly always can be."""
    poll = select.poll()
    poll.register(socket, select.POLLIN | select.POLLOUT)
    found = 0
    for _, events in poll.poll(0):
        found |= Ready.R if events & ~select.POLLOUT else 0
        found |= Ready.W if events & select.POLLOUT else 0
    return Ready(found) if found else None
