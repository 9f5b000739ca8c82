"""Limits: how much each project may have."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import mutation
from mesh.caller import Caller, Kind, current
from mesh.database import Database
from mesh.errors import invalid, not_found
from services.identity.limit_trees import LimitTree
from services.identity.model import is_system
from services.identity.store import limits
from weft.identity.v1 import limit_service_pb2 as pb
from weft.identity.v1.limit_service_pb2_grpc import LimitServiceServicer
from weft.identity.v1.resources_pb2 import Limit


class Limits(LimitServiceServicer):
    """weft.identity.v1.LimitService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ListLimits(self, request: pb.ListLimitsRequest, context: Any) -> pb.ListLimitsResponse:
        """What holds for a project: the caller's own, or for the system any; none is the defaults."""
        caller = current()
        project_id = request.project_id or caller.project_id
        if not is_system(caller) and (caller.scope != "project" or project_id != caller.project_id):
            raise not_found("project", project_id)
        found, more = await self._database.read(_read, request, caller, project_id)
        answer = pb.ListLimitsResponse(next_page_token=more)
        answer.limits.extend(_limit(*each, project_id) for each in found)
        if caller.kind is Kind.SERVICE and found:
            answer.tree_id = found[0][1].top
            answer.pools.extend(_pools(found, project_id))
        return answer

    async def SetLimit(self, request: pb.SetLimitRequest, context: Any) -> Limit:
        """Sets a project's limit, or a default."""
        wanted = request.limit
        if not wanted.service or not wanted.resource:
            raise invalid("limit", "name the service and the resource")

        def do(unit: Any) -> Limit:
            row, tree = limits.put(unit, wanted.service, wanted.resource, wanted.project_id, wanted.limit)
            return _limit(row, tree, wanted.project_id)

        return await mutation.change(self._database, request, Limit, do)

    async def UnsetLimit(self, request: pb.UnsetLimitRequest, context: Any) -> Empty:
        """Takes a project's own limit away."""

        def do(unit: Any) -> Empty:
            limits.take(unit, request.service, request.resource, request.project_id)
            return Empty()

        return await mutation.change(self._database, request, Empty, do)


def _read(
    connection: Any, request: pb.ListLimitsRequest, caller: Caller, project_id: str
) -> tuple[list[tuple[Any, LimitTree]], str]:
    """A page of the defaults, each with what the project's tree has instead."""
    rows, more = limits.listed(connection, request, caller, project_id)
    trees = limits.of_tree(connection, project_id, rows)
    return list(zip(rows, trees, strict=True)), more


def _limit(row: Any, tree: LimitTree, project_id: str) -> Limit:
    return Limit(
        service=row.service,
        resource=row.resource,
        project_id=project_id,
        limit=tree.ceiling(project_id),
        reserved=max(tree.reserved(project_id), 0) if tree.owner(project_id) == project_id else 0,
        own=project_id in tree.own,
    )


def _pools(found: Iterable[tuple[Any, LimitTree]], project_id: str) -> Iterator[pb.LimitPool]:
    """The limits that the project shares, by those who share them."""
    pools: dict[tuple[str, ...], list[Limit]] = {}
    for row, tree in found:
        owner = tree.owner(project_id)
        members = tuple(tree.sharing(owner))
        if len(members) > 1:
            total, reserved = tree.total(owner), max(tree.reserved(owner), 0)
            said = Limit(service=row.service, resource=row.resource, limit=total, reserved=reserved)
            pools.setdefault((owner, *members), []).append(said)
    for named, shared in pools.items():
        yield pb.LimitPool(project_id=named[0], member_ids=named[1:], limits=shared)
