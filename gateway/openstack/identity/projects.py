"""Projects."""

from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call, field, strings
from gateway.openstack.faults import Refusal
from gateway.openstack.identity import domains
from gateway.openstack.identity.documents import changes, linked, listing, short_name
from mesh.lists import walk
from weft.identity.v1 import project_service_pb2 as pb
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.identity.v1.resources_pb2 import Project

_CHANGEABLE = {"name": str, "description": str, "enabled": bool, "tags": list}


def document(call: Call, project: Project) -> dict[str, Any]:
    """A project as Keystone shows it: one without a parent is the domain's child."""
    return linked(
        call,
        "projects",
        {
            "id": project.id,
            "name": project.name,
            "description": project.description,
            "domain_id": project.domain_id,
            "parent_id": project.parent_id or project.domain_id,
            "enabled": project.enabled,
            "is_domain": False,
            "tags": list(project.tags),
            "options": {},
        },
    )


async def listed(call: Call) -> dict[str, Any]:
    """GET /v3/projects."""
    request = pb.ListProjectsRequest(
        domain_id=await domains.id_of(call, call.query.get("domain_id", "")),
        name=call.query.get("name", ""),
        parent_id=call.query.get("parent_id", ""),
    )
    found = walk(call.stub(ProjectServiceStub).ListProjects, request, "projects")
    enabled, is_domain = call.flag("enabled"), call.flag("is_domain")
    documents = [
        document(call, each) async for each in found if not is_domain and enabled in (None, each.enabled)
    ]
    return listing(call, "projects", documents)


async def mine(call: Call) -> dict[str, Any]:
    """GET /v3/auth/projects."""
    found = walk(call.stub(ProjectServiceStub).ListMyProjects, pb.ListMyProjectsRequest(), "projects")
    return listing(call, "projects", [document(call, each) async for each in found])


async def show(call: Call) -> dict[str, Any]:
    """GET /v3/projects/{id}."""
    return {"project": document(call, await _get(call))}


async def create(call: Call) -> dict[str, Any]:
    """POST /v3/projects."""
    body = await call.body("project")
    if field(body, "is_domain", bool, False):
        raise Refusal(501, "A project does not act as a domain: create a domain.")
    domain_id = await domains.id_of(call, field(body, "domain_id", str, ""))
    parent_id = await domains.id_of(call, field(body, "parent_id", str, ""))
    made = await call.stub(ProjectServiceStub).CreateProject(
        pb.CreateProjectRequest(
            name=short_name(body),
            domain_id=domain_id,
            parent_id="" if parent_id == domain_id else parent_id,
            description=field(body, "description", str, ""),
            disabled=not field(body, "enabled", bool, True),
            tags=strings(field(body, "tags", list, [])),
        )
    )
    return {"project": document(call, made)}


async def update(call: Call) -> dict[str, Any]:
    """PATCH /v3/projects/{id}."""
    body = await call.body("project")
    if "name" in body:
        short_name(body)
    return {"project": document(call, await _change(call, body))}


async def delete(call: Call) -> None:
    """DELETE /v3/projects/{id}."""
    await call.stub(ProjectServiceStub).DeleteProject(pb.DeleteProjectRequest(id=call.params["id"]))


async def tags(call: Call) -> dict[str, Any]:
    """GET /v3/projects/{id}/tags."""
    return _tags(call, await _get(call))


async def set_tags(call: Call) -> dict[str, Any]:
    """PUT /v3/projects/{id}/tags."""
    body = await call.body()
    return _tags(call, await _change(call, {"tags": strings(field(body, "tags", list))}))


def _tags(call: Call, project: Project) -> dict[str, Any]:
    return listing(call, "tags", list(project.tags))


async def clear_tags(call: Call) -> None:
    """DELETE /v3/projects/{id}/tags."""
    await _change(call, {"tags": []})


async def check_tag(call: Call) -> None:
    """GET and HEAD /v3/projects/{id}/tags/{tag}."""
    if call.params["tag"] not in (await _get(call)).tags:
        raise Refusal(404, f"Could not find project tag: {call.params['tag']}.")


async def add_tag(call: Call) -> Response:
    """PUT /v3/projects/{id}/tags/{tag}."""
    found, tag = await _get(call), call.params["tag"]
    await _change(call, {"tags": [*(each for each in found.tags if each != tag), tag]})
    place = call.url(f"/v3/projects/{found.id}/tags/{tag}")
    return Response(status_code=201, headers={"location": place})


async def remove_tag(call: Call) -> None:
    """DELETE /v3/projects/{id}/tags/{tag}."""
    await check_tag(call)
    kept = [each for each in (await _get(call)).tags if each != call.params["tag"]]
    await _change(call, {"tags": kept})


async def _get(call: Call) -> Project:
    return await call.stub(ProjectServiceStub).GetProject(pb.GetProjectRequest(id=call.params["id"]))


async def _change(call: Call, body: dict[str, Any]) -> Project:
    message, mask = changes(body, Project(), _CHANGEABLE)
    request = pb.UpdateProjectRequest(id=call.params["id"], project=message, update_mask=mask)
    return await call.stub(ProjectServiceStub).UpdateProject(request) if mask.paths else await _get(call)
