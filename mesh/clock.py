"""What time it is, in one place, so that a test can say otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def _system() -> datetime:
    return datetime.now(UTC)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_source: Callable[[], datetime] = _system


def now() -> datetime:
    """The present, aware, in UTC."""
    return _source()


@contextmanager
def told_by(source: Callable[[], datetime]) -> Iterator[None]:
    """Within the block, `now()` answers what `source` says, in every thread of the process."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before


def to_proto(moment: datetime | None) -> Timestamp | None:
    """As a protobuf Timestamp; None stays None, which a message constructor takes as unset."""
    if moment is None:
        return None
    since = moment - _EPOCH  # Timestamp.FromDatetime says the same in four times the time
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def from_proto(stamp: Timestamp) -> datetime:
    """As an aware datetime in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)
