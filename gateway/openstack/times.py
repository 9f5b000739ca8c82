"""Times as OpenStack writes them, always UTC."""

from datetime import UTC, datetime
from functools import lru_cache

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
    return f"{_second(time.seconds)}Z"


def micros(time: Timestamp) -> str:
    """`2026-01-31T12:00:00.000000Z`, as tokens have it."""
    return f"{bare(time)}Z"


def bare(time: Timestamp) -> str:
    """`2026-01-31T12:00:00.000000`, as volumes have it."""
    return f"{_second(time.seconds)}.{time.nanos // 1000:06}"


@lru_cache(maxsize=1 << 14)  # a long list is asked for again with the same times in it
def _second(since: int) -> str:
    return datetime.fromtimestamp(since, UTC).replace(tzinfo=None).isoformat()
