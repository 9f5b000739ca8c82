"""How a change runs: as one unit of work, once for its request_id, and undone where it only validates."""

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from mesh import caller, rehearsal, replay
from mesh.database import Database
from mesh.errors import CloudError

M = TypeVar("M", bound=Message)


async def change(database: Database, request: Any, answer: type[M], do: Callable[[Any], M]) -> M:
    """Run `do(connection)` and answer what it answers, or what it answered when the same request came before.

    Raises what it does, and REQUEST_ID_REUSED: see mesh.replay.
    """
    who = caller.current()

    def unit(connection: Any) -> M:
        return replay.once(connection, who, request, answer, lambda: do(connection))

    return await rehearsal.write(database, getattr(request, "validate_only", False), unit)


async def before(database: Database, request: Any, answer: type[M]) -> M | None:
    """What the same request was answered, None where it has not come: for changes that look at what they
    themselves change before their unit of work. Raises REQUEST_ID_REUSED.
    """
    return await database.peek(replay.answered, caller.current(), request, answer)


async def delete(database: Database, request: Any, do: Callable[[Any], None]) -> Empty:
    """The same for a deletion; with allow_missing, what is not there is deleted."""

    def tolerant(connection: Any) -> Empty:
        try:
            do(connection)
        except CloudError as error:
            if not (request.allow_missing and error.reason == "NOT_FOUND"):
                raise
        return Empty()

    return await change(database, request, Empty, tolerant)
