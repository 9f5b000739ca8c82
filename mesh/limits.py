"""Limits of projects: identity keeps them, each service counts its own rows against them."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mesh import caller
from mesh.errors import CloudError
from weft.identity.v1 import limit_service_pb2, limit_service_pb2_grpc

if TYPE_CHECKING:
    from mesh.channel import Peers

# A changed limit holds at the latest after this many seconds.
KEPT = 10.0


class Limits:
    """The limits that hold for the resources of one service."""

    def __init__(self, peers: "Peers", service: str) -> None:
        self._service = service
        self._stub = peers.stub(limit_service_pb2_grpc.LimitServiceStub, service="identity")
        self._known: dict[str, tuple[float, dict[str, int]]] = {}

    async def of(self, project_id: str) -> Mapping[str, int]:
        """Limit by resource; -1 is none. Raises UNAVAILABLE while identity does not answer."""
        until, limits = self._known.get(project_id, (0.0, {}))
        if time.monotonic() >= until:
            limits = await self._ask(project_id)
            self._known[project_id] = (time.monotonic() + KEPT, limits)
        return limits

    async def _ask(self, project_id: str) -> dict[str, int]:
        request = limit_service_pb2.ListLimitsRequest(
            project_id=project_id, service=self._service, page_size=1000
        )
        with caller.acting_as(caller.ANONYMOUS):  # as the service itself: any project's may be asked
            answer = await self._stub.ListLimits(request)
        return {limit.resource: limit.limit for limit in answer.limits}


def check(limits: Mapping[str, int], resource: str, used: int, requested: int) -> None:
    """Raise QUOTA_EXCEEDED when `requested` more than the `used` would pass the limit."""
    limit = limits.get(resource, -1)
    if limit >= 0 and requested > 0 and used + requested > limit:
        raise CloudError(
            "QUOTA_EXCEEDED",
            f"The project may have {limit} {resource} and has {used}: {requested} more are too many.",
            resource=resource,
            limit=limit,
            used=used,
            requested=requested,
        )
