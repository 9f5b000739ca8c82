"""A connection to PostgreSQL that waits on the event loop when a fiber uses it, and in a thread as ever."""

import asyncio
import select
from typing import Any, cast

import psycopg
from psycopg.waiting import Ready, Wait

from mesh import fibers

# Seconds between two looks at a socket that is waited for: uvloop forgets one that is in error.
_AGAIN = 0.5


class Connection(psycopg.Connection[Any]):
    """The driver's connection: in a fiber it gives way where it would block."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._loop: asyncio.AbstractEventLoop | None = None  # which watches the socket
        self._socket = -1
        self._waiting: fibers.Fiber | None = None
        self._again: asyncio.TimerHandle | None = None

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Go on with the driver's generator each time that the socket is as it wants it."""
        if not fibers.inside():
            return super().wait(gen, *args, **options)
        try:
            wants = next(gen)
            while True:
                wants = gen.send(self._until(wants))
        except StopIteration as ended:
            return ended.value
        except OSError as error:
            fibers.outside(self._unwatch)
            self.pgconn.finish()
            raise psycopg.OperationalError("the socket cannot be watched") from error
        except BaseException:
            # The driver may have closed the socket: its number is another's soon.
            fibers.outside(self._unwatch)
            raise

    def close(self) -> None:
        """Let go of the server; on the loop that it was used on, if on any."""
        fibers.outside(self._unwatch)
        super().close()

    def _until(self, wants: int) -> Any:
        """Give way until the socket can be read, or written to where that is wanted too."""
        if not wants & Wait.W:
            return fibers.outside(self._watch)
        if ready := _polled(self.pgconn.socket):
            return ready
        return fibers.outside(self._watch_both)

    def _watch(self, fiber: fibers.Fiber | None) -> object:
        if self._loop is None:
            self._loop, self._socket = asyncio.get_running_loop(), self.pgconn.socket
            self._loop.add_reader(self._socket, self._go_on, Ready.R)
        if self._again is None:
            self._again = self._loop.call_later(_AGAIN, self._look_again)
        self._waiting = fiber
        return fibers.LATER

    def _look_again(self) -> None:
        self._again = None
        if self._waiting is None:
            return
        if (_polled(self._socket) or 0) & Ready.R:
            self._unwatch()
            self._go_on(Ready.R)
        elif self._loop is not None:
            self._again = self._loop.call_later(_AGAIN, self._look_again)

    def _watch_both(self, fiber: fibers.Fiber | None) -> object:
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
        if self._again is not None:
            self._again.cancel()
            self._again = None
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
