"""A running identity service, and people who call it as through the gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from argon2 import PasswordHasher

from mesh import server
from mesh.certificates import Identity as Certified
from mesh.channel import Client, connect
from mesh.server import Runtime
from mesh.settings import Settings, Tracing
from services.identity import __main__ as identity_service
from services.identity import passwords
from tests import migrated
from weft.identity.v1 import domain_service_pb2 as domain_pb
from weft.identity.v1 import project_service_pb2 as project_pb
from weft.identity.v1 import resources_pb2, token_service_pb2, token_service_pb2_grpc
from weft.identity.v1 import role_service_pb2 as role_pb
from weft.identity.v1 import user_service_pb2 as user_pb
from weft.identity.v1.catalog_service_pb2_grpc import CatalogServiceStub
from weft.identity.v1.domain_service_pb2_grpc import DomainServiceStub
from weft.identity.v1.key_service_pb2_grpc import KeyServiceStub
from weft.identity.v1.limit_service_pb2_grpc import LimitServiceStub
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub
from weft.identity.v1.user_service_pb2_grpc import UserServiceStub

Scope = resources_pb2.Scope
SYSTEM = Scope(system=True)
PASSWORD = "correct horse battery staple"


class Person:
    """Somebody with a connection and perhaps a token: all stubs as attributes."""

    def __init__(self, client: Client, answer: token_service_pb2.CreateTokenResponse | None = None) -> None:
        self.client = client
        self.answer = answer
        self.tokens = client.stub(token_service_pb2_grpc.TokenServiceStub)
        self.users = client.stub(UserServiceStub)
        self.projects = client.stub(ProjectServiceStub)
        self.domains = client.stub(DomainServiceStub)
        self.roles = client.stub(RoleServiceStub)
        self.keys = client.stub(KeyServiceStub)
        self.limits = client.stub(LimitServiceStub)
        self.catalog = client.stub(CatalogServiceStub)

    @property
    def token(self) -> str:
        """The token that this person presents."""
        assert self.answer is not None
        return self.answer.token

    @property
    def info(self) -> resources_pb2.TokenInfo:
        """What the token says."""
        assert self.answer is not None
        return self.answer.info


@dataclass
class Cloud:
    """A running identity and ways to be somebody in it."""

    runtime: Runtime
    admin_password: str
    clients: list[Client]
    system: Person | None = None

    def client(self, identity: Certified | None = None, token: str | None = None) -> Client:
        """A connection with a certificate: the gateway's unless another is named."""
        runtime = self.runtime
        leaf = runtime.authority.issue(identity or Certified.gateway())
        client = connect(
            runtime.service.address,
            runtime.authority.directory / "ca.crt",
            token,
            leaf=leaf,
            server_name=Certified.service("identity").dns,
        )
        self.clients.append(client)
        return client

    def nobody(self) -> Person:
        """Somebody without a token."""
        return Person(self.client())

    def service(self, name: str = "compute") -> Person:
        """Another service, by its certificate."""
        return Person(self.client(Certified.service(name)))

    def bearer(self, answer: Any) -> Person:
        """Who presents the token of a login's answer."""
        return Person(self.client(token=answer.token), answer)

    async def login(self, name: str, scope: Any = None, password: str = PASSWORD, **more: Any) -> Person:
        """Log in by name; raises what the service answers."""
        answer = await self.nobody().tokens.CreateToken(password_login(name, scope, password, **more))
        return self.bearer(answer)

    async def admin(self, scope: Any = SYSTEM) -> Person:
        """The first administrator."""
        return await self.login("admin", scope, self.admin_password)

    async def rescope(self, person: Person, scope: Any = None) -> Person:
        """The same person with a token for another scope."""
        credential = token_service_pb2.TokenCredential(token=person.token)
        request = token_service_pb2.CreateTokenRequest(token=credential, scope=scope)
        return self.bearer(await self.nobody().tokens.CreateToken(request))

    async def _system(self) -> Person:
        """The administrator who prepares things, logged in once."""
        self.system = self.system or await self.admin()
        return self.system

    async def domain(self, name: str) -> resources_pb2.Domain:
        """A new domain."""
        return await (await self._system()).domains.CreateDomain(domain_pb.CreateDomainRequest(name=name))

    async def project(self, name: str, **more: Any) -> resources_pb2.Project:
        """A new project, in the administrator's domain unless another is named."""
        return await (await self._system()).projects.CreateProject(
            project_pb.CreateProjectRequest(name=name, **more)
        )

    async def user(self, name: str, **more: Any) -> resources_pb2.User:
        """A new user whose password is PASSWORD."""
        request = user_pb.CreateUserRequest(name=name, **{"password": PASSWORD, **more})
        return await (await self._system()).users.CreateUser(request)

    async def grant(self, user_id: str, role: str, **target: Any) -> resources_pb2.Assignment:
        """Give a role."""
        request = role_pb.GrantRoleRequest(user_id=user_id, role_name=role, **target)
        return await (await self._system()).roles.GrantRole(request)

    async def member(self, name: str, role: str = "member") -> tuple[Person, resources_pb2.Project]:
        """Somebody logged in to a project of their own."""
        project, user = await self.project(f"{name}'s"), await self.user(name)
        await self.grant(user.id, role, project_id=project.id)
        return await self.login(name, Scope(project_id=project.id)), project


def password_login(
    name: str, scope: Any = None, password: str = PASSWORD, **more: Any
) -> token_service_pb2.CreateTokenRequest:
    """A login by name and password."""
    credential = token_service_pb2.PasswordCredential(user_name=name, password=password, **more)
    return token_service_pb2.CreateTokenRequest(password=credential, scope=scope)


@asynccontextmanager
async def running(settings: Settings, database_url: str | None = None) -> AsyncIterator[Cloud]:
    """Identity as it runs in production, on a database of the test's own."""
    part = server.part_of("identity", identity_service.build)
    service = settings.for_service("identity")
    part.service = replace(
        service, listen=(service.address,), database_url=database_url or service.database_url
    )
    migrated.lay(part.service)
    quiet = msgspec.structs.replace(settings, tracing=Tracing(enabled=False))
    async with server.running(quiet, [part]) as runtimes:
        password = (settings.state / "identity" / "admin-password").read_text().strip()
        world = Cloud(runtimes["identity"], password, [])
        try:
            yield world
        finally:
            for client in world.clients:
                await client.close()


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logins by the hundred: what a hash costs is not what these tests are about."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
async def world(cloud: Settings) -> AsyncIterator[Cloud]:
    """Identity on SQLite."""
    async with running(cloud) as found:
        yield found


@pytest.fixture
async def either(cloud: Settings, database_url: str) -> AsyncIterator[Cloud]:
    """Identity, once on SQLite and once on PostgreSQL."""
    async with running(cloud, database_url) as found:
        yield found
