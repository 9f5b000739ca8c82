"""Limits: how much each project may have."""

from typing import Any

from mesh.caller import current
from mesh.database import Database
from mesh.errors import invalid, not_found
from services.identity.api import units
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
        rows, more = await self._database.read(limits.listed, request, caller, project_id)
        found = [
            Limit(service=row.service, resource=row.resource, project_id=project_id, limit=row.limit)
            for row in rows
        ]
        return pb.ListLimitsResponse(limits=found, next_page_token=more)

    async def SetLimit(self, request: pb.SetLimitRequest, context: Any) -> Limit:
        """Sets a project's limit, or a default."""
        wanted = request.limit
        if not wanted.service or not wanted.resource:
            raise invalid("limit", "name the service and the resource")

        def do(unit: Any) -> Limit:
            limits.put(unit, wanted.service, wanted.resource, wanted.project_id, wanted.limit)
            return wanted

        return await units.change(self._database, request, Limit, do)
