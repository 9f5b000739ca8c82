"""Projects: what resources belong to."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import Caller, current
from mesh.errors import not_found
from services.identity.api import messages, units
from services.identity.api.purging import Purging, require_at_rest
from services.identity.flows.purge import App
from services.identity.model import administers, domain_reach
from services.identity.store import projects
from weft.identity.v1 import project_service_pb2 as pb
from weft.identity.v1.resources_pb2 import Project


class Projects(Purging):
    """weft.identity.v1.ProjectService."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._database = app.database

    async def GetProject(self, request: pb.GetProjectRequest, context: Any) -> Project:
        """The project of one's own token, one with a role on it, or one that the caller administers."""
        return messages.project(await self._database.read(_visible, request.id, current()))

    async def ListProjects(self, request: pb.ListProjectsRequest, context: Any) -> pb.ListProjectsResponse:
        """A page of the projects that the caller administers."""
        caller = current()
        rows, more = await self._database.read(projects.listed, request, caller, domain_reach(caller))
        return pb.ListProjectsResponse(projects=map(messages.project, rows), next_page_token=more)

    async def ListMyProjects(
        self, request: pb.ListMyProjectsRequest, context: Any
    ) -> pb.ListProjectsResponse:
        """A page of the projects that the caller has a role on."""
        rows, more = await self._database.read(projects.of_user, request, current())
        return pb.ListProjectsResponse(projects=map(messages.project, rows), next_page_token=more)

    async def CreateProject(self, request: pb.CreateProjectRequest, context: Any) -> Project:
        """A new project."""
        values = {
            "name": request.name,
            "domain_id": units.own_domain(request.domain_id),
            "parent_id": request.parent_id or None,
            "description": request.description,
            "enabled": not request.disabled,
            "tags": list(request.tags),
        }
        return await mutation.change(
            self._database, request, Project, lambda unit: messages.project(projects.create(unit, values))
        )

    async def UpdateProject(self, request: pb.UpdateProjectRequest, context: Any) -> Project:
        """Changes a project."""
        allowed = ["name", "description", "enabled", "tags"]
        values = masks.apply(request.update_mask, request.project, allowed)
        units.named(values, "project")
        reach = domain_reach(current())

        def do(unit: Any) -> Project:
            row = projects.get(unit, request.id, reach)
            if "enabled" in values:
                require_at_rest(row)
            return messages.project(projects.update(unit, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, Project, do)

    async def DeleteProject(self, request: pb.DeleteProjectRequest, context: Any) -> Empty:
        """Deletes a project that has none below it."""
        reach = domain_reach(current())

        def do(unit: Any) -> None:
            require_at_rest(projects.get(unit, request.id, reach))
            projects.remove(unit, request.id, request.expected_revision)

        return await mutation.delete(self._database, request, do)


def _visible(connection: Any, id: str, caller: Caller) -> Any:
    row = projects.get(connection, id)
    if id == caller.project_id or administers(caller, row.domain_id, "reader"):
        return row
    if caller.user_id and projects.is_of_user(connection, id, caller.user_id):
        return row
    raise not_found("project", id)
