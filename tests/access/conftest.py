"""Every service at once, in this process, and somebody of every kind to call them."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from mesh import ids, server, settings
from mesh.certificates import Authority, Identity
from mesh.channel import Client, connect
from services.__main__ import SERVICES, parts
from weft.identity.v1 import (
    domain_service_pb2,
    domain_service_pb2_grpc,
    project_service_pb2,
    project_service_pb2_grpc,
    role_service_pb2,
    role_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    user_service_pb2,
    user_service_pb2_grpc,
)

ROLES = ("reader", "member", "manager", "admin")
HOST = "11111111-1111-4111-8111-111111111111"


@dataclass
class Mesh:
    """A running control plane, and tokens of people with one role each in one project."""

    settings: settings.Settings
    authority: Authority
    tokens: dict[str, str] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=dict)
    runtimes: dict[str, server.Runtime] = field(default_factory=dict)

    def client(self, service: str, persona: str) -> Client:
        """A client of one service: with a token as the gateway's callers have, or with a certificate."""
        identity = {
            "service": Identity.service("compute"),
            "node": Identity.node(HOST),
        }.get(persona, Identity.gateway())
        return connect(
            self.settings.address(service),
            self.authority.directory / "ca.crt",
            self.tokens.get(persona),
            leaf=self.authority.issue(identity),
            server_name=f"{service}.weft.internal",
        )

    async def login(self, password: str, scope: dict[str, object] | None = None, **who: str) -> str:
        """A token for whom `user_name` or `user_id` names."""
        request = token_service_pb2.CreateTokenRequest(password={"password": password, **who}, scope=scope)
        async with self.client("identity", "anonymous") as client:
            return (await client.stub(token_service_pb2_grpc.TokenServiceStub).CreateToken(request)).token

    async def person(self, admin: Client, role: str, *, domain: str = "", **on: str) -> str:
        """A new user of a domain with one role on a project or domain: their token for it."""
        name, password = ids.new(), ids.new()
        users = admin.stub(user_service_pb2_grpc.UserServiceStub)
        made = user_service_pb2.CreateUserRequest(name=name, password=password, domain_id=domain)
        user = await users.CreateUser(made)
        grant = role_service_pb2.GrantRoleRequest(user_id=user.id, role_name=role, **on)
        await admin.stub(role_service_pb2_grpc.RoleServiceStub).GrantRole(grant)
        return await self.login(password, dict(on), user_id=user.id)


async def _people(mesh: Mesh) -> None:
    password = (mesh.settings.state / "identity" / "admin-password").read_text().strip()
    mesh.tokens["system admin"] = await mesh.login(password, {"system": True}, user_name="admin")
    mesh.tokens["unscoped"] = await mesh.login(password, {}, user_name="admin")
    async with mesh.client("identity", "system admin") as admin:
        projects = admin.stub(project_service_pb2_grpc.ProjectServiceStub)
        for name in ("ours", "theirs"):
            made = await projects.CreateProject(project_service_pb2.CreateProjectRequest(name=name))
            mesh.projects[name] = made.id
        for role in ROLES:
            mesh.tokens[f"project {role}"] = await mesh.person(admin, role, project_id=mesh.projects["ours"])
        mesh.tokens["another project's admin"] = await mesh.person(
            admin, "admin", project_id=mesh.projects["theirs"]
        )
        await _another_domain(mesh, admin)


async def _another_domain(mesh: Mesh, admin: Client) -> None:
    """A domain with a manager of its own, and a member of a project in it."""
    domains = admin.stub(domain_service_pb2_grpc.DomainServiceStub)
    domain = await domains.CreateDomain(domain_service_pb2.CreateDomainRequest(name="elsewhere"))
    projects = admin.stub(project_service_pb2_grpc.ProjectServiceStub)
    made = project_service_pb2.CreateProjectRequest(name="foreign", domain_id=domain.id)
    project = await projects.CreateProject(made)
    mesh.tokens["domain manager"] = await mesh.person(admin, "manager", domain=domain.id, domain_id=domain.id)
    mesh.tokens["another domain's member"] = await mesh.person(
        admin, "member", domain=domain.id, project_id=project.id
    )


def _settings(state: Path) -> settings.Settings:
    """Every service on a free port of loopback, all state in one directory."""
    environ = {"WEFT_CLOUD__STATE": str(state), "WEFT_TRACING__ENABLED": "false"}
    environ["WEFT_IMAGE__IMPORT_FROM"] = '["127.0.0.1/32"]'
    probes = [socket.socket() for _ in settings.PORTS]
    for name, probe in zip(settings.PORTS, probes, strict=True):
        probe.bind(("127.0.0.1", 0))
        environ[f"WEFT_SERVICES__{name.upper()}__ADDRESS"] = f"127.0.0.1:{probe.getsockname()[1]}"
    for probe in probes:
        probe.close()
    return settings.load(environ=environ)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """All services, and the people."""
    loaded = _settings(tmp_path_factory.mktemp("access"))
    async with server.running(loaded, parts(SERVICES)) as runtimes:
        authority = Authority.open_or_create(Path(loaded.cloud.state) / "pki")
        found = Mesh(loaded, authority, runtimes=runtimes)
        await _people(found)
        yield found
