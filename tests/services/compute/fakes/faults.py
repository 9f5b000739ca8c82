"""What a fake is told to do wrong, and what it was asked."""

import asyncio
from collections import defaultdict, deque

from mesh.errors import CloudError


class Faulty:
    """Every RPC of a fake begins with `self.called(name)`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._faults: defaultdict[str, deque[CloudError]] = defaultdict(deque)
        self._held: dict[str, asyncio.Event] = {}

    def fail(self, rpc: str, *errors: CloudError) -> None:
        """The next calls of the RPC fail so, one error each."""
        self._faults[rpc].extend(errors)

    def hold(self, rpc: str) -> asyncio.Event:
        """Calls of the RPC that wait for it are answered when the event is set."""
        return self._held.setdefault(rpc, asyncio.Event())

    def release(self, rpc: str) -> None:
        """Nothing waits any more."""
        self._held.pop(rpc).set()

    async def held(self, rpc: str) -> None:
        """Wait where that was ordered."""
        if rpc in self._held:
            await self._held[rpc].wait()

    def called(self, rpc: str) -> None:
        """Raises what was ordered for this call."""
        self.calls.append(rpc)
        if self._faults[rpc]:
            raise self._faults[rpc].popleft()


def broken(message: str = "It is broken.") -> CloudError:
    """A failure for good."""
    return CloudError("INTERNAL", message)


def away() -> CloudError:
    """A failure that passes."""
    return CloudError("UNAVAILABLE", "It is away for a moment.", service="fake")
