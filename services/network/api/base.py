"""What all servicers are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from mesh import mutation
from mesh.database import Database
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
        """See mesh.mutation."""
        answered = await mutation.change(self.database, request, answer, do)
        if getattr(request, "validate_only", False) and "operation_id" in answer.DESCRIPTOR.fields_by_name:
            answered.ClearField("operation_id")  # it was never begun
        return answered

    async def remove(self, request: Any, do: Callable[[Any], None]) -> Empty:
        """See mesh.mutation."""
        return await mutation.delete(self.database, request, do)
