"""Who has which roles where, against an oracle that follows the rules one assignment at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh import ids
from mesh.caller import Caller, Kind
from mesh.errors import CloudError
from services.identity import tables
from services.identity.model import Target, Wanted
from services.identity.store import effective, projects, scopes, trees
from weft.identity.v1.project_service_pb2 import ListMyProjectsRequest
from weft.identity.v1.role_service_pb2 import ListEffectiveAssignmentsRequest

DOMAINS = ("D", "E")
# Two trees in the first domain, one in the second; parents before children.
PROJECTS = {"a": "", "b": "a", "c": "b", "d": "a", "x": "", "y": "x", "m": "", "n": "m"}
DOMAIN_OF = {each: "E" if each in "mn" else "D" for each in PROJECTS}
# The domain of each role; the first four are global.
ROLES = {"r0": "", "r1": "", "r2": "", "r3": "", "d0": "D", "d1": "D", "e0": "E"}
USERS, GROUPS = ("u", "v"), ("g", "h")
ORDER = list(ROLES)


@dataclass(frozen=True)
class Given:
    """A role given to a user or a group somewhere: on a project, a domain, or the system ("")."""

    holder: str
    role: str
    where: str
    inherited: bool


@dataclass(frozen=True)
class World:
    members: frozenset[tuple[str, str]]
    implies: frozenset[tuple[str, str]]
    given: frozenset[Given]
    disabled: frozenset[str]

    def roles(self, user: str, where: str) -> set[str]:
        """The oracle."""
        found = {each.role for each in self.given if self._is(user, each.holder) and reaches(each, where)}
        while more := {to for role, to in self.implies if role in found} - found:
            found |= more
        return found

    def _is(self, user: str, holder: str) -> bool:
        return user == holder or (holder, user) in self.members

    def enabled(self, where: str) -> bool:
        return not ({where, *above(where)} & self.disabled)


def above(where: str) -> list[str]:
    """The projects above a project, and its domain."""
    if where not in PROJECTS:
        return []
    parent = PROJECTS[where]
    return [parent, *above(parent)] if parent else [DOMAIN_OF[where]]


def reaches(given: Given, where: str) -> bool:
    return given.where == where or (given.inherited and given.where in above(where))


def may_be_given(role: str, where: str) -> bool:
    """A domain's role is given only there."""
    return ROLES[role] in ("", where, DOMAIN_OF.get(where))


EDGES = [
    (role, to)
    for role, to in product(ROLES, ROLES)
    if ORDER.index(role) < ORDER.index(to) and ROLES[to] in ("", ROLES[role])
]
GIFTS = [
    Given(holder, role, where, inherited)
    for holder, role, where, inherited in product(
        USERS + GROUPS, ROLES, ("", *DOMAINS, *PROJECTS), (False, True)
    )
    if may_be_given(role, where) and not (inherited and not where)
]


def some(of: Any, most: int) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(list(of)), max_size=most)


worlds = st.builds(
    World, some(product(GROUPS, USERS), 4), some(EDGES, 5), some(GIFTS, 9), some([*DOMAINS, *PROJECTS], 1)
)


def fill(connection: sa.Connection, world: World) -> None:
    """The world as rows."""

    def put(table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            connection.execute(table.insert(), rows)

    put(
        tables.domains,
        [{"id": each, "name": each, "enabled": each not in world.disabled} for each in DOMAINS],
    )
    for name, parent in PROJECTS.items():
        place = {"domain_id": DOMAIN_OF[name], "parent_id": parent or None}
        row = {"id": name, "name": name, "enabled": name not in world.disabled, **place}
        put(tables.projects, [row])
    put(tables.users, [{"id": each, "name": each, "domain_id": "D"} for each in USERS])
    put(tables.groups, [{"id": each, "name": each, "domain_id": "D"} for each in GROUPS])
    put(tables.memberships, [{"group_id": group, "user_id": user} for group, user in world.members])
    put(tables.roles, [{"id": f"id-{each}", "name": each, "domain_id": ROLES[each]} for each in ROLES])
    edges = [{"role_id": f"id-{one}", "implied_role_id": f"id-{to}"} for one, to in world.implies]
    put(tables.implications, edges)
    put(tables.assignments, [assigned(each) for each in world.given])


def assigned(given: Given) -> dict[str, Any]:
    return {
        "id": ids.new(),
        "user_id": given.holder if given.holder in USERS else None,
        "group_id": given.holder if given.holder in GROUPS else None,
        "role_id": f"id-{given.role}",
        "project_id": given.where if given.where in PROJECTS else None,
        "domain_id": given.where if given.where in DOMAINS else None,
        "system": given.where == "",
        "inherited": given.inherited,
    }


@pytest.fixture
def within(database_url: str) -> Iterator[Callable[[], sa.Connection]]:
    """A connection to empty tables; what is done with it is undone when it closes."""
    engine = sa.create_engine(database_url)
    if "search_path" in database_url:
        with engine.begin() as connection:
            connection.execute(sa.text(f'CREATE SCHEMA "{database_url.rpartition("%3D")[2]}"'))
    tables.TABLES.create_all(engine)
    yield engine.connect
    engine.dispose()


def granted(connection: sa.Connection, user: str, wanted: Wanted) -> set[str]:
    """The roles that a token would carry; none when it would be refused."""
    try:
        return set(scopes.grant(connection, user, wanted).roles)
    except CloudError:
        return set()


def wanted(where: str) -> Wanted:
    if where in PROJECTS:
        return Wanted(project_id=where)
    return Wanted(domain_id=where) if where else Wanted(system=True)


def check(connection: sa.Connection, world: World) -> None:
    """Logins, lists of projects, and the explanation of it all say what the oracle says."""
    for user in USERS:
        caller = Caller(kind=Kind.USER, user_id=user)
        rows, _ = projects.of_user(connection, ListMyProjectsRequest(page_size=100), caller)
        assert {row.id for row in rows} == {
            each for each in PROJECTS if world.roles(user, each) and world.enabled(each)
        }
        for where in ("", *DOMAINS, *PROJECTS):
            carried = world.roles(user, where) if world.enabled(where) and world.enabled("D") else set()
            assert granted(connection, user, wanted(where)) == carried
    for where in ("", *DOMAINS, *PROJECTS):
        assert explained(connection, where) == {
            (user, role) for user in USERS for role in world.roles(user, where)
        }


def explained(connection: sa.Connection, where: str) -> set[tuple[str, str]]:
    lineage = trees.lineage(connection, where) if where in PROJECTS else []
    target = (
        Target(project_id=where) if lineage else Target(domain_id=where) if where else Target(system=True)
    )
    request = ListEffectiveAssignmentsRequest(page_size=100)
    found, _ = effective.listed(connection, request, Caller(kind=Kind.USER), target, lineage)
    assert all(each.origins for each in found)
    return {(each.user_id, each.role_name) for each in found}


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds)
def test_roles_are_what_the_rules_make_them(within: Callable[[], sa.Connection], world: World) -> None:
    with within() as connection:
        fill(connection, world)
        check(connection, world)


def test_the_oracle_knows_every_way_in_which_a_role_comes(within: Callable[[], sa.Connection]) -> None:
    world = World(
        frozenset({("g", "u")}),
        frozenset({("r0", "r1"), ("r1", "r3"), ("d0", "d1")}),
        frozenset({Given("g", "r0", "a", True), Given("v", "d0", "D", True), Given("u", "r2", "", False)}),
        frozenset({"b"}),
    )
    assert world.roles("u", "c") == {"r0", "r1", "r3"}
    assert world.roles("v", "y") == {"d0", "d1"}
    assert world.roles("u", "") == {"r2"}
    assert not world.roles("v", "m")
    assert not world.enabled("c")
    with within() as connection:
        fill(connection, world)
        check(connection, world)
