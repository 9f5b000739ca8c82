"""How every mutation runs: once for its request_id, and without effect when it only validates."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from mesh import caller, clock, rehearsal, replay
from mesh.database import Database
from mesh.errors import CloudError, invalid, not_found
from services.identity.model import domain_reach

M = TypeVar("M", bound=Message)


async def change(database: Database, request: Any, answer: type[M], do: Callable[[Any], M]) -> M:
    """Run `do(connection)` as one unit of work, and answer what it answers."""
    who = caller.current()

    def unit(connection: Any) -> M:
        return replay.once(connection, who, request, answer, lambda: do(connection))

    return await rehearsal.write(database, getattr(request, "validate_only", False), unit)


async def delete(database: Database, request: Any, do: Callable[[Any], None]) -> Empty:
    """Run a deletion as one unit of work; with allow_missing, what is not there is deleted."""

    def tolerant(connection: Any) -> Empty:
        try:
            do(connection)
        except CloudError as error:
            if not (request.allow_missing and error.reason == "NOT_FOUND"):
                raise
        return Empty()

    return await change(database, request, Empty, tolerant)


def named(values: dict[str, Any], resource: str) -> None:
    """Raises INVALID_ARGUMENT when an update takes the name away."""
    if values.get("name", "?") == "":
        raise invalid(f"{resource}.name", "cannot be empty")


def moment(field: str, stamp: Timestamp) -> datetime:
    """A time that a request names. Raises INVALID_ARGUMENT for one beyond all calendars."""
    try:
        return clock.from_proto(stamp)
    except (ValueError, OverflowError) as error:
        raise invalid(field, "is no time between the years 1 and 9999") from error


def own_domain(domain_id: str) -> str:
    """The domain that a request names, or else the caller's. Raises NOT_FOUND for one out of reach."""
    who = caller.current()
    reach = domain_reach(who)
    found = domain_id or reach or who.user_domain_id
    if not found:
        raise invalid("domain_id", "name a domain: the caller has none")
    if reach is not None and found != reach:
        raise not_found("domain", found)
    return found
