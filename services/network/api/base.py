"""What all servicers are made of, and how every mutation runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from mesh import caller, rehearsal, replay
from mesh.database import Database
from mesh.errors import CloudError
from mesh.limits import Limits
from services.network.gaps import Range

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the servicers work with; `segments` are the VXLAN identifiers of this cloud."""

    database: Database
    limits: Limits
    segments: list[Range]


class Api:
    """A servicer over the parts."""

    def __init__(self, parts: Parts) -> None:
        self.database, self.limits, self.segments = parts.database, parts.limits, parts.segments

    async def change(self, request: Any, answer: type[M], do: Callable[[Any], M]) -> M:
        """Run `do(connection)` as one unit of work: once for its request_id, undone for validate_only."""
        who = caller.current()

        def unit(connection: Any) -> M:
            return replay.once(connection, who, request, answer, lambda: do(connection))

        return await rehearsal.write(self.database, getattr(request, "validate_only", False), unit)

    async def remove(self, request: Any, do: Callable[[Any], None]) -> Empty:
        """Run a deletion; with allow_missing, what is not there is deleted."""

        def tolerant(connection: Any) -> Empty:
            try:
                do(connection)
            except CloudError as error:
                if not (request.allow_missing and error.reason == "NOT_FOUND"):
                    raise
            return Empty()

        return await self.change(request, Empty, tolerant)
