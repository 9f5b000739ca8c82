"""How every change of placement runs: alone in the database, once for its request_id, then shown."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from google.protobuf.message import Message

from mesh import caller, locks, replay
from mesh.database import Database, after_commit
from services.placement.follow import Follower
from services.placement.model import Taken

M = TypeVar("M", bound=Message)


class Units:
    """Units of work that write."""

    def __init__(self, database: Database, follower: Follower) -> None:
        self.database, self._follower = database, follower

    async def change(self, request: Any, answer: type[M], do: Callable[[Any], M]) -> M:
        """Run `do(connection)` as one unit of work, and answer what it answers."""

        def told(connection: Any) -> M:
            after_commit(connection, self._follower.committed)
            return do(connection)

        return await self._alone(request, answer, told)

    async def take(self, request: Any, answer: type[M], do: Callable[[Any], tuple[M, list[Taken]]]) -> M:
        """The same for a `do` that answers also what it took of which provider, and changes nothing else."""

        def told(connection: Any) -> M:
            made, taken = do(connection)
            after_commit(connection, partial(self._follower.took, taken))
            return made

        return await self._alone(request, answer, told)

    async def _alone(self, request: Any, answer: type[M], do: Callable[[Any], M]) -> M:
        who = caller.current()

        def unit(connection: Any) -> M:
            # Each adds to the one ordered log of changes, so they would wait for each other all the same:
            # better at their beginning than in a circle. Then nothing read here needs a lock of its own.
            locks.hold(connection, "placement writes")
            return replay.once(connection, who, request, answer, lambda: do(connection))

        return await self.database.write(unit)
