"""The administrator makes a project and an ordinary user, and is not needed again until the end."""

import secrets

from cli.cloud import health
from cli.demo.cast import Cast
from mesh import ids
from mesh.channel import Client
from mesh.errors import CloudError
from weft.identity.v1 import project_service_pb2 as projects
from weft.identity.v1 import role_service_pb2 as roles
from weft.identity.v1 import user_service_pb2 as users
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub
from weft.identity.v1.user_service_pb2_grpc import UserServiceStub


async def arrive(cast: Cast) -> None:
    """A project `demo` and a member of it, whose password nobody knows but this program."""
    cast.password = secrets.token_urlsafe(18)
    async with await health.administrator(cast.layout) as admin:
        with cast.stage.step(f"the administrator makes the project demo and its member {cast.user}"):
            await _make(cast, admin)


async def _make(cast: Cast, admin: Client) -> None:
    project = await admin.stub(ProjectServiceStub).CreateProject(
        projects.CreateProjectRequest(name="demo", request_id=ids.new())
    )
    user = await admin.stub(UserServiceStub).CreateUser(
        users.CreateUserRequest(
            name=cast.user, password=cast.password, default_project_id=project.id, request_id=ids.new()
        )
    )
    await admin.stub(RoleServiceStub).GrantRole(
        roles.GrantRoleRequest(
            user_id=user.id, role_name="member", project_id=project.id, request_id=ids.new()
        )
    )
    cast.ids |= {"project": project.id, "user": user.id}


async def leave(cast: Cast) -> None:
    """The user and the project are deleted."""
    async with await health.administrator(cast.layout) as admin:
        with cast.stage.step("the administrator deletes the user and the project"):
            await admin.stub(UserServiceStub).DeleteUser(users.DeleteUserRequest(id=cast.ids["user"]))
            await admin.stub(ProjectServiceStub).DeleteProject(
                projects.DeleteProjectRequest(id=cast.ids["project"])
            )
        try:
            await admin.stub(ProjectServiceStub).GetProject(
                projects.GetProjectRequest(id=cast.ids["project"])
            )
        except CloudError as error:
            cast.stage.proof("the project is gone", error.reason, "NOT_FOUND")
        else:
            cast.stage.proof("the project is gone", "there", "NOT_FOUND")
