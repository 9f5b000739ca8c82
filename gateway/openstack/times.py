"""Times as OpenStack writes them, always UTC."""

from google.protobuf.timestamp_pb2 import Timestamp


def seconds(time: Timestamp) -> str:
    """`2026-01-31T12:00:00Z`."""
    return time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")


def micros(time: Timestamp) -> str:
    """`2026-01-31T12:00:00.000000Z`, as tokens have it."""
    return time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def bare(time: Timestamp) -> str:
    """`2026-01-31T12:00:00.000000`, as volumes have it."""
    return time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%S.%f")
