"""Purging a project, and what there is to purge."""

from typing import Any

from mesh import mutation
from mesh.caller import current
from mesh.database import Connection
from mesh.errors import wrong_status
from mesh.flow import submit
from mesh.together import all_of
from services.identity.api import messages
from services.identity.blocked import why_not
from services.identity.flows.purge import PURGE, App
from services.identity.holdings import KINDS, Estate, Kind
from services.identity.model import domain_reach
from services.identity.store import projects, purges
from weft.identity.v1 import project_service_pb2 as pb
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceServicer
from weft.identity.v1.resources_pb2 import Project


class Purging(ProjectServiceServicer):
    """The part of ProjectService that reaches into the other services."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def GetProjectHoldings(
        self, request: pb.GetProjectHoldingsRequest, context: Any
    ) -> pb.ProjectHoldings:
        """Asked of every service."""
        rows = await self._app.database.read(_own, request.id, domain_reach(current()))
        estate = Estate(self._app.peers, request.id, current())
        kinds = await all_of(_holdings(estate, kind) for kind in KINDS)
        own = [pb.Holding(service="identity", type=row.kind, id=row.id, name=row.name) for row in rows]
        return pb.ProjectHoldings(holdings=[*(each for kind in kinds for each in kind), *own])

    async def PurgeProject(self, request: pb.PurgeProjectRequest, context: Any) -> Project:
        """Begins to."""
        return await mutation.change(
            self._app.database, request, Project, lambda unit: messages.project(_begin(unit, request))
        )


async def _holdings(estate: Estate, kind: Kind) -> list[pb.Holding]:
    return [
        pb.Holding(
            service=kind.service,
            type=kind.type,
            id=thing.id,
            name=getattr(thing, "name", ""),
            blocked=await why_not(estate, kind, thing),
        )
        for thing in await estate.listed(kind)
    ]


def _own(connection: Connection, id: str, reach: str | None) -> list[Any]:
    projects.get(connection, id, reach)
    return purges.of_project(connection, id)


def _begin(connection: Connection, request: pb.PurgeProjectRequest) -> Any:
    row = purges.hold(connection, request.id, domain_reach(current()))
    if row.operation_id:
        return row
    if request.delete_project:
        projects.require_childless(connection, row.id)
    operation_id = submit(
        connection,
        PURGE,
        target_id=row.id,
        project_id=row.id,
        caller=current(),
        input={"delete_project": request.delete_project, "enabled": row.enabled},
    )
    return purges.begin(connection, row.id, request.expected_revision, operation_id)


def require_at_rest(row: Any) -> None:
    """Raises WRONG_STATUS while the project is being purged."""
    if row.operation_id:
        raise wrong_status("project", row.id, "being purged", ["not being purged"])
