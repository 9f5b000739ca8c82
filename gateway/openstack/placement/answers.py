"""Answers of Placement: from 1.15 on they say when what they tell of has changed last."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.placement.reading import dumps


def answer(
    call: Call, document: Any, status: int = 200, *, changed: Timestamp | None = None, location: str = ""
) -> Response:
    """An answer; None for no document. What is computed, or said of nothing, has changed now."""
    headers: dict[str, str] = {"location": call.url(location)} if location else {}
    if call.microversion >= (1, 15):
        at = changed.ToDatetime(UTC) if changed is not None and changed.seconds else datetime.now(UTC)
        headers |= {"last-modified": format_datetime(at, usegmt=True), "cache-control": "no-cache"}
    if document is None:
        return Response(status_code=status, headers=headers)
    return Response(dumps(document), status, headers, media_type="application/json")


def latest(times: list[Timestamp]) -> Timestamp | None:
    """The last of some times; None of none."""
    return max(times, key=lambda time: (time.seconds, time.nanos), default=None)
