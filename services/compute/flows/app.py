"""What every step of compute's flows finds as `run.app`."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from mesh.channel import Peers
from mesh.database import Database
from services.compute.nodes import Nodes

T = TypeVar("T")
# Seconds that a cancellation leaves to another service: it answers sooner, or not at all.
GRACE = 10.0


@dataclass(frozen=True, slots=True)
class App:
    """The database, the other services, the host agents."""

    database: Database
    peers: Peers
    nodes: Nodes


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """The answers to calls made at once. When one fails the others are still waited for: an undo must not
    overtake what it undoes.
    """
    answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
