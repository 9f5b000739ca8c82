"""Identity with 100,000 users and 10,000 projects: pages of its lists, logins, what many assignments cost.

Once on SQLite and, where PostgreSQL is installed, once on that.
"""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import measure, processes
from benchmarks.figures import Goal
from benchmarks.suite import Bench
from cli.cloud.layout import Layout
from cli.cloud.processes import PATIENCE
from cli.serve import command
from mesh import ids
from mesh.certificates import Authority, Identity
from mesh.channel import Client, connect
from mesh.database import Database
from mesh.errors import CloudError
from mesh.settings import load
from mesh.tokens import Revocations, TokenVerifier
from services.identity.__main__ import MIGRATIONS
from services.identity.passwords import Passwords
from services.identity.tables import TABLES, assignments, projects, users
from tests import postgres
from weft.identity.v1 import project_service_pb2, user_service_pb2
from weft.identity.v1 import token_service_pb2 as tokens
from weft.identity.v1.key_service_pb2 import ListKeysRequest
from weft.identity.v1.key_service_pb2_grpc import KeyServiceStub
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.identity.v1.role_service_pb2 import ListRolesRequest
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub
from weft.identity.v1.user_service_pb2_grpc import UserServiceStub

_USERS, _PROJECTS, _MANY = 100_000, 10_000, 1000
_BATCH = 5000
_PASSWORD = "the password of everybody here"


@dataclass(frozen=True)
class _Realm:
    """Identity as a process, and a client that is its administrator."""

    database: str
    client: Client
    pid: int
    url: str
    password: str

    async def token(self, name: str, password: str, scope: dict[str, Any]) -> str:
        """Log in."""
        request = tokens.CreateTokenRequest(password={"user_name": name, "password": password}, scope=scope)
        return str((await self.client.stub(TokenServiceStub).CreateToken(request)).token)


async def run(bench: Bench) -> None:
    """The same on each database."""
    await _on(bench, "SQLite", "")
    if postgres.binaries() is not None:
        with postgres.cluster() as url:
            await _on(bench, "PostgreSQL", url)


async def _on(bench: Bench, database: str, url: str) -> None:
    async with _identity(database, url) as realm:
        realm.client.token = await realm.token("admin", realm.password, {"system": True})
        few, many = await _filled(realm)
        await _pages(bench, realm)
        await _logins(bench, realm, few, many)


async def _pages(bench: Bench, realm: _Realm) -> None:
    """Pages of 100, one after the other from the beginning to deep in the list; and one by its name."""
    people, places = realm.client.stub(UserServiceStub), realm.client.stub(ProjectServiceStub)
    times = bench.of(200, 1000)
    for what, call, request in (
        ("users", people.ListUsers, user_service_pb2.ListUsersRequest()),
        ("projects", places.ListProjects, project_service_pb2.ListProjectsRequest()),
    ):

        async def page(call: Any = call, request: Any = request) -> None:
            request.page_token = (await call(request)).next_page_token

        await _told(bench, realm, f"a page of {what}", page, min(times, _PROJECTS // 100))
    named = user_service_pb2.ListUsersRequest(name=f"user-{_USERS // 2}")
    await _told(bench, realm, "a user by the name", lambda: people.ListUsers(named), times)


async def _told(bench: Bench, realm: _Realm, what: str, work: measure.Work, times: int) -> None:
    with processes.spending({"identity": realm.pid}) as spent:
        samples = sorted(await measure.one_by_one(work, times))
    bench.tell(f"{realm.database}: {what}", "ms", samples, None, spent.each(times))
    bench.tell(f"{realm.database}: {what}, p99", "ms", [samples[int(0.99 * (times - 1))]], Goal(100))


async def _logins(bench: Bench, realm: _Realm, few: str, many: str) -> None:
    """In turns: of who has one assignment, and of who has a thousand, for the same project."""
    scope = {"project": {"name": "project-0"}}
    keys = _Keys(await realm.client.stub(KeyServiceStub).ListKeys(ListKeysRequest()))
    realm.client.token = None
    times = bench.of(30, 300)
    for name, what in ((few, "1 assignment"), (many, f"{_MANY:,} assignments")):
        with processes.spending({"identity": realm.pid}) as spent:
            samples = await measure.one_by_one(lambda who=name: realm.token(who, _PASSWORD, scope), times, 2)
        bench.tell(f"{realm.database}: password to token, {what}", "ms", samples, None, spent.each(times + 2))
    for name, what in ((few, "1 assignment"), (many, f"{_MANY:,} assignments")):
        token = await realm.token(name, _PASSWORD, scope)
        samples = await measure.one_by_one(
            lambda said=token: TokenVerifier(keys, Revocations()).verify(said), bench.of(500, 5000), 50
        )
        bench.tell(f"{realm.database}: check of a new token, {what}", "ms", samples, Goal(0.3))


class _Keys:
    """The public keys, asked for once."""

    def __init__(self, said: Any) -> None:
        self._keys = {key.kid: key.public_key for key in said.keys}

    async def key(self, kid: str) -> bytes | None:
        """The key of that id."""
        return self._keys.get(kid)


async def _filled(realm: _Realm) -> tuple[str, str]:
    """Users and projects, put into the tables; names of one with one assignment, and of one with many."""
    roles = await realm.client.stub(RoleServiceStub).ListRoles(ListRolesRequest())
    member = next(role.id for role in roles.roles if role.name == "member")
    domain = (await realm.client.stub(UserServiceStub).ListUsers(user_service_pb2.ListUsersRequest())).users[
        0
    ]
    stored = await Passwords().hashed(_PASSWORD)
    people = [_row("user", n, domain.domain_id, password_hash=stored) for n in range(_USERS)]
    places = [_row("project", n, domain.domain_id) for n in range(_PROJECTS)]
    given = [
        _given(people[0], places[0], member),
        *(_given(people[1], each, member) for each in places[:_MANY]),
    ]
    database = Database.open(realm.url, TABLES, MIGRATIONS)
    try:
        for table, rows in ((users, people), (projects, places), (assignments, given)):
            for part in _parts(rows):
                await database.write(
                    lambda c, table=table, part=part: c.execute(table.insert(), part) and None
                )
    finally:
        await database.close()
    return people[0]["name"], people[1]["name"]


def _row(kind: str, number: int, domain_id: str, **more: Any) -> dict[str, Any]:
    return {"id": ids.new(), "name": f"{kind}-{number}", "domain_id": domain_id, **more}


def _given(user: dict[str, Any], project: dict[str, Any], role_id: str) -> dict[str, Any]:
    return {"id": ids.new(), "user_id": user["id"], "project_id": project["id"], "role_id": role_id}


def _parts(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for begin in range(0, len(rows), _BATCH):
        yield rows[begin : begin + _BATCH]


@asynccontextmanager
async def _identity(database: str, url: str) -> AsyncIterator[_Realm]:
    """Identity alone as a process, called as the gateway calls it."""
    folder = Path(tempfile.mkdtemp(prefix="weft-bench-"))
    layout = Layout(folder)
    layout.write()
    authority = Authority.open_or_create(layout.state / "pki", layout.settings.cloud.name)
    leaf = authority.issue(Identity.gateway())
    given = {"WEFT_DATABASE__URL": url} if url else {}
    environ = {**os.environ, "WEFT_CONFIG": str(layout.config), **given}
    child = await asyncio.create_subprocess_exec(*command("identity"), env=environ)
    try:
        name = Identity.service("identity").dns
        async with connect(layout.socket("identity"), layout.ca, leaf=leaf, server_name=name) as client:
            await _listens(client)
            kept = load(layout.config, given).for_service("identity").database_url
            password = await asyncio.to_thread(layout.admin_password.read_text)
            yield _Realm(database, client, child.pid, kept, password.strip())
    finally:
        child.send_signal(signal.SIGTERM)
        await asyncio.wait_for(child.wait(), PATIENCE)
        await asyncio.to_thread(shutil.rmtree, folder)


async def _listens(client: Client) -> None:
    """Wait until it answers. Raises CloudError when it does not for long."""
    for attempt in range(300):
        try:
            await client.stub(KeyServiceStub).ListKeys(ListKeysRequest())
            return
        except CloudError as error:
            if error.reason != "UNAVAILABLE" or attempt == 299:
                raise
            await asyncio.sleep(0.2)
