"""Times as OpenStack writes them, always UTC."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.openstack.faults import Refusal


def read(text: str) -> Timestamp:
    """A time in one of these ways. Raises Refusal."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(400, f"{text!r:.40} is no time.") from error
    found = Timestamp()
    found.FromDatetime(time if time.tzinfo else time.replace(tzinfo=UTC))
    return found


def seconds(time: Timestamp) -> str:
    """`2026-01-31T12:00:00Z`."""
    return time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")


def micros(time: Timestamp) -> str:
    """`2026-01-31T12:00:00.000000Z`, as tokens have it."""
    return time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def bare(time: Timestamp) -> str:
    """`2026-01-31T12:00:00.000000`, as volumes have it."""
    return time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%S.%f")
