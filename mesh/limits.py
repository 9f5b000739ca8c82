"""Limits of projects: identity keeps them, each service counts its own rows against them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mesh import caller, locks
from mesh.errors import CloudError
from mesh.news import News
from weft.identity.v1 import limit_service_pb2, limit_service_pb2_grpc
from weft.identity.v1.resources_pb2 import Limit

if TYPE_CHECKING:
    from mesh.channel import Peers

# What was heard is asked for again after this many seconds at the latest.
KEPT = 10.0


@dataclass(frozen=True, slots=True)
class Pool:
    """Projects that share one's limits: what they may have together, by resource."""

    project_id: str
    members: tuple[str, ...]
    limits: Mapping[str, int]


class Allowed(dict[str, int]):
    """What a project may have, by resource (-1 is no limit), and the pools whose limits it shares."""

    def __init__(self, alone: Mapping[str, int], tree_id: str = "", pools: Sequence[Pool] = ()) -> None:
        """`tree_id`: the topmost project above; all who share a pool have the same."""
        super().__init__(alone)
        self.tree_id, self.pools = tree_id, tuple(pools)


class Limits:
    """The limits that hold for the resources of one service.

    They are kept while the process hears from identity when they change, and are asked for each time while
    it does not.
    """

    def __init__(self, peers: "Peers", service: str, news: News) -> None:
        self._service, self._news = service, news
        self._stub = peers.stub(limit_service_pb2_grpc.LimitServiceStub, service="identity")
        self._known: dict[str, tuple[float, int, Allowed]] = {}

    async def of(self, project_id: str) -> Allowed:
        """What the project may have. Raises UNAVAILABLE while identity does not answer."""
        until, as_of, limits = self._known.get(project_id, (0.0, 0, Allowed({})))
        changed = as_of != self._news.limits or not self._news.following
        if changed or time.monotonic() >= until:
            as_of = self._news.limits
            limits = await self._ask(project_id)
            self._known[project_id] = (time.monotonic() + KEPT, as_of, limits)
        return limits

    async def _ask(self, project_id: str) -> Allowed:
        request = limit_service_pb2.ListLimitsRequest(
            project_id=project_id, service=self._service, page_size=1000
        )
        with caller.acting_as(caller.ANONYMOUS):  # as the service itself: any project's may be asked
            answer = await self._stub.ListLimits(request)
        pools = [Pool(each.project_id, tuple(each.member_ids), _left(each.limits)) for each in answer.pools]
        return Allowed(_left(answer.limits), answer.tree_id, pools)


def _left(limits: Sequence[Limit]) -> dict[str, int]:
    """By resource, what the projects below leave of each limit."""
    return {each.resource: max(each.limit - each.reserved, 0) if each.limit >= 0 else -1 for each in limits}


def hold(connection: Connection, service: str, project_id: str, allowed: Mapping[str, int]) -> None:
    """Until the unit ends nobody else counts what the project has, or shares with others."""
    tree_id = allowed.tree_id if isinstance(allowed, Allowed) else ""
    locks.hold(connection, f"{service} quota {tree_id or project_id}")


def claim(
    connection: Connection,
    service: str,
    project_id: str,
    allowed: Mapping[str, int],
    more: Mapping[str, int],
    used: Callable[[Sequence[str]], Mapping[str, int]],
) -> None:
    """Raise QUOTA_EXCEEDED when `more` would pass what the project may have, alone or in its pools.

    `used` counts, from the service's own rows, what some projects have; nobody else does meanwhile.
    """
    hold(connection, service, project_id, allowed)
    has = used([project_id])
    for resource, requested in more.items():
        check(allowed, resource, has[resource], requested)
    for pool in allowed.pools if isinstance(allowed, Allowed) else ():
        shared = pool.limits.keys() & more.keys()
        together = used(pool.members) if shared else {}
        for resource in sorted(shared):
            _check_pool(pool, resource, together[resource], more[resource])


def check(limits: Mapping[str, int], resource: str, used: int, requested: int) -> None:
    """Raise QUOTA_EXCEEDED when `requested` more than the `used` would pass the limit."""
    limit = limits.get(resource, -1)
    if _passes(limit, used, requested):
        said = f"The project may have {limit} {resource} and has {used}: {requested} more are too many."
        raise _exceeded(said, resource, limit, used, requested)


def _check_pool(pool: Pool, resource: str, used: int, requested: int) -> None:
    limit = pool.limits[resource]
    if _passes(limit, used, requested):
        said = (
            f"The project {pool.project_id} and those that share its limit may have {limit} {resource} "
            f"and have {used}: {requested} more are too many."
        )
        raise _exceeded(said, resource, limit, used, requested)


def _passes(limit: int, used: int, requested: int) -> bool:
    return limit >= 0 and requested > 0 and used + requested > limit


def _exceeded(message: str, resource: str, limit: int, used: int, requested: int) -> CloudError:
    return CloudError(
        "QUOTA_EXCEEDED", message, resource=resource, limit=limit, used=used, requested=requested
    )
