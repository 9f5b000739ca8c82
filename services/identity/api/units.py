"""What requests that change something have in common."""

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from mesh import caller, clock
from mesh.errors import invalid, not_found
from services.identity.model import domain_reach


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
