"""Whatever happens to whom: what was handed on never exceeds, outlives or leaves what its owner has.

A machine makes chains of application credentials, trusts and EC2 credentials, logs in by them, exchanges what
it gets, and changes everything that they rest on. A model beside it, which knows nothing of how identity does
this, says what each login must give and which tokens may still hold.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mesh import clock, ids
from mesh.database import Database
from mesh.errors import CloudError
from services.identity import handing_on
from services.identity.keys import KeyRing
from services.identity.login import Issued, Login, issue
from services.identity.model import DEFAULT_ROLES, IMPLIES, Target, Wanted, closure
from services.identity.passwords import Passwords
from services.identity.sealing import Seal
from services.identity.second_factor import SecondFactor
from services.identity.store import (
    assignments,
    chains,
    delegated,
    delegations,
    domains,
    groups,
    implications,
    projects,
    roles,
    scopes,
    users,
)
from services.identity.store.assignments import Holder
from services.identity.store.chains import Kind
from services.identity.tables import TABLES
from services.identity.tokens import Tokens
from services.identity.verifier import refuse_revoked
from tests.services.identity.delegation_model import Facts, Link

PICK = st.integers(0, 99)
ROLES = ("manager", "member", "reader")


@dataclass
class World:
    """Identity below its servicers, on a database that all examples share."""

    database: Database
    loop: asyncio.Runner
    tokens: Tokens
    login: Login

    def do(self, fn: Any, *args: Any, **more: Any) -> Any:
        """One unit of work."""
        return self.loop.run(self.database.write(fn, *args, **more))


class Delegation(RuleBasedStateMachine):
    """The machine."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta(0)
        self.now = clock.told_by(lambda: datetime.now().astimezone() + self.ahead)
        self.now.__enter__()
        self.facts, self.links, self.issued = Facts(), [], []
        self.world.do(self.prepare)

    def teardown(self) -> None:
        self.now.__exit__(None, None, None)

    def prepare(self, c: Any) -> None:
        """An owner with a role of their own and one by a group, and two others, one of another domain."""
        home, away = (domains.create(c, {"name": ids.new()}).id for _ in range(2))
        self.domain_of, self.project = {}, projects.create(c, {"name": ids.new(), "domain_id": home}).id
        self.people = [self.person(c, domain) for domain in (home, home, away)]
        self.owner, self.home = self.people[0], home
        self.group = groups.create(c, {"name": ids.new(), "domain_id": home}).id
        groups.add_member(c, self.group, self.owner)
        for role, way in (("manager", "direct"), ("member", "group")):
            self.give(c, role, way)
        # What a trustee has there is no business of what is lent.
        assignments.grant(c, Holder(self.people[1]), roles.named(c, "admin"), Target(self.project), False)

    def person(self, c: Any, domain: str) -> str:
        id = users.create(c, {"name": ids.new(), "domain_id": domain, "password_hash": "0"}).id
        self.domain_of[id] = domain
        return id

    def holder(self, way: str) -> Holder:
        return Holder(self.owner) if way == "direct" else Holder(group_id=self.group)

    def give(self, c: Any, role: str, way: str) -> None:
        assignments.grant(c, self.holder(way), roles.named(c, role), Target(self.project), inherited=False)
        self.facts.given.add((role, way))

    # What should be.

    def dead(self, link: Link) -> bool:
        """Whether nothing may come of the chain, by the model."""
        people = link.people()
        rests = people | {self.domain_of[id] for id in people} | {self.project, self.home}
        rests |= {each.id for each in link.chain()}
        ended = any(each.ends and each.ends <= clock.now() for each in link.chain())
        return ended or bool(rests & (self.facts.off | self.facts.gone))

    def bound(self, link: Link) -> frozenset[str]:
        """The roles that the chain gives, by the model."""
        found = self.facts.held()
        for each in link.chain():
            found &= closure(each.roles)
        return found

    # Making and using.

    def direct(self) -> Issued | None:
        try:
            found = self.world.do(scopes.grant, self.owner, Wanted(project_id=self.project))
        except CloudError:
            return None
        return Issued(*self.world.tokens.sign(found, ("password",)), "", [])

    def token_by(self, link: Link) -> Issued | None:
        way = delegated.by_trustee if link.kind is Kind.TRUST else delegated.by_credential
        given = (link.id, link.trustee if link.kind is Kind.TRUST else None)
        try:
            return issue(self.world.tokens, self.world.do(way, *given), [], ("test",))
        except CloudError as error:
            if error.reason != "UNAUTHENTICATED":
                raise
            return None

    @rule(
        kind=st.sampled_from(Kind),
        by=PICK,
        to=PICK,
        role=st.sampled_from(("", *ROLES)),
        minutes=st.sampled_from((0, 10, 40)),
        free=st.booleans(),
        disguised=st.booleans(),
    )
    def make(
        self, kind: Kind, by: int, to: int, role: str, minutes: int, free: bool, disguised: bool
    ) -> None:
        parent = (None, *self.links)[by % (len(self.links) + 1)]
        maker = self.token_by(parent) if parent else self.direct()
        if maker is None:
            return
        ends = clock.now() + timedelta(minutes=minutes) if minutes else None
        own = {"secret": ids.new()}
        if kind is Kind.TRUST:
            left = parent.redelegation if parent and parent.kind is Kind.TRUST else 3
            disguised = disguised and (left == 3 or parent.impersonate)
            trustee = self.people[to % 3]
            own = {"trustee_id": trustee, "impersonate": disguised, "redelegation_left": max(left - 1, 0)}
        elif kind is Kind.APPLICATION_CREDENTIAL:
            own |= {"unrestricted": free, "name": ids.new()}
        may = parent is None or parent.unrestricted or (kind is Kind.TRUST and parent.redelegation > 0)
        may = may and (parent is None or len(parent.chain()) < chains.LONGEST)
        may = may and (not role or role in maker.claims.roles)
        late = bool(ends and parent and any(each.ends and each.ends < ends for each in parent.chain()))

        def do(c: Any) -> Any:
            wanted = [role] if role else []
            values, _ = handing_on.prepare(c, maker.claims.caller(), kind, wanted, ends)
            return delegations.create(c, kind, {**values, **own})

        try:
            row = self.world.do(do)
        except CloudError as error:
            refused = error.reason
        else:
            refused = ""
        if not may or late:
            assert refused == ("INVALID_ARGUMENT" if may else "PERMISSION_DENIED")
            return
        if own.get("trustee_id") in self.facts.gone:
            assert refused == "NOT_FOUND"
            return
        assert not refused
        self.links.append(
            Link(
                row.id,
                kind,
                row.owner_id,
                row.trustee_id or "",
                row.impersonate,
                frozenset({role} if role else maker.claims.roles),
                ends,
                parent,
                row.unrestricted,
                row.redelegation_left,
            )
        )

    @initialize(disguised=st.booleans(), to=st.sampled_from(((1, 2), (2, 1), (1, 1))))
    def begin(self, disguised: bool, to: tuple[int, int]) -> None:
        """A trust that is passed on, a program that makes a key, and a token by each of them."""
        self.make(Kind.TRUST, 0, to[0], "", 0, False, disguised)
        self.make(Kind.TRUST, 1, to[1], "member", 40, False, disguised)
        self.make(Kind.APPLICATION_CREDENTIAL, 0, 0, "member", 0, True, False)
        self.make(Kind.EC2, 3, 0, "reader", 10, False, False)
        for which in range(4):
            self.use(which)
        assert len(self.issued) == 4

    @precondition(lambda self: self.links)
    @rule(which=PICK)
    def use(self, which: int) -> None:
        link = self.links[which % len(self.links)]
        found = self.token_by(link)
        expected = frozenset() if self.dead(link) else self.bound(link)
        assert (found.claims.roles if found else frozenset()) == expected
        if found:
            disguised = link.kind is not Kind.TRUST or link.impersonate
            assert found.claims.user_id == (self.owner if disguised else link.trustee)
            self.issued.append((found, link))
            assert self.holds(found)

    @precondition(lambda self: self.issued)
    @rule(which=PICK, elsewhere=st.booleans())
    def exchange(self, which: int, elsewhere: bool) -> None:
        found, link = self.issued[which % len(self.issued)]
        wanted = Wanted() if elsewhere else Wanted(project_id=self.project)
        held = self.holds(found)
        try:
            again = self.world.loop.run(self.world.login.by_token(found.token, wanted))
        except CloudError:
            assert elsewhere or not held or len(found.claims.rests_on) > 8
            return
        assert held
        assert not elsewhere
        assert again.claims.expires_at <= found.claims.expires_at
        self.issued.append((again, link))

    # What may happen, each time to tokens that are new.

    def renew(self) -> None:
        """A new token by each of the first links, and of the last ones, that give any."""
        links = list(range(len(self.links)))
        for which in sorted({*links[:4], *links[-3:]}):
            self.use(which)
        del self.issued[:-12]

    @rule(role=st.sampled_from(ROLES), way=st.sampled_from(("direct", "group")))
    def take_or_give_a_role(self, role: str, way: str) -> None:
        self.renew()
        if self.facts.gone & {self.owner, self.project}:
            return
        if (role, way) not in self.facts.given:
            self.world.do(self.give, role, way)
            return
        holder = self.holder(way)
        self.world.do(
            lambda c: assignments.revoke(
                c, holder, roles.named(c, role), Target(self.project), inherited=False
            )
        )
        self.facts.given.discard((role, way))

    @rule()
    def leave_or_join_the_group(self) -> None:
        self.renew()
        if self.owner not in self.facts.gone:
            move = groups.remove_member if self.facts.in_group else groups.add_member
            self.world.do(move, self.group, self.owner)
            self.facts.in_group = not self.facts.in_group

    @rule(which=PICK)
    def disable_or_enable(self, which: int) -> None:
        self.renew()
        ways = [(users.update, id) for id in self.people]
        ways += [(projects.update, self.project), (domains.update, self.home)]
        ways += [(domains.update, self.domain_of[self.people[2]])]
        change, id = ways[which % len(ways)]
        if id not in self.facts.gone:
            self.world.do(change, id, 0, {"enabled": id in self.facts.off})
            self.facts.off ^= {id}

    @rule(who=PICK)
    def change_a_password(self, who: int) -> None:
        self.renew()
        id = self.people[who % 3]
        if id not in self.facts.gone:
            self.world.do(users.update, id, 0, {"password_hash": ids.new()})
            self.facts.passwords[id] = clock.now()

    @precondition(lambda self: self.links)
    @rule(which=PICK)
    def delete_a_link(self, which: int) -> None:
        self.renew()
        link = self.links[which % len(self.links)]
        if not (self.facts.gone & {each.id for each in link.chain()} or self.deleted_with_others(link)):
            self.world.do(delegations.remove, link.id, 0)
            self.facts.gone.add(link.id)

    def deleted_with_others(self, link: Link) -> bool:
        """Whether it went with somebody, or with the project."""
        return bool(self.facts.gone & (link.people() | {self.project}))

    @rule(who=PICK)
    def delete_somebody_or_the_project(self, who: int) -> None:
        self.renew()
        id = (*self.people[1:], self.owner, self.project)[who % 4]
        if who > 60 and id not in self.facts.gone:
            self.world.do(projects.remove if id == self.project else users.remove, id, 0)
            self.facts.gone.add(id)

    @rule(minutes=st.sampled_from((5, 20)))
    def let_time_pass(self, minutes: int) -> None:
        self.ahead += timedelta(minutes=minutes)

    # What must be so after each of them.

    def holds(self, found: Issued) -> bool:
        """Whether identity takes the token."""
        return self.holding([found]) == [True]

    def holding(self, issued: list[Issued]) -> list[bool]:
        """The same of many."""

        def ask(c: Any) -> list[bool]:
            return [self.taken(c, each) for each in issued]

        return self.world.loop.run(self.world.database.read(ask))

    def taken(self, c: Any, found: Issued) -> bool:
        try:
            refuse_revoked(c, self.world.tokens.read(found.token))
        except CloudError:
            return False
        return True

    @invariant()
    def no_token_has_more_than_its_owner(self) -> None:
        holding = self.holding([found for found, _ in self.issued])
        for (found, link), holds in zip(self.issued, holding, strict=True):
            if holds:
                claims = found.claims
                assert not self.dead(link)
                assert claims.roles <= self.bound(link)
                assert claims.target.project_id == self.project
                assert all(each.ends is None or claims.expires_at <= each.ends for each in link.chain())
                changed = (self.facts.passwords.get(id) for id in link.people())
                assert all(at is None or at <= claims.issued_at for at in changed)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with asyncio.Runner() as loop:

        async def open_() -> Database:
            return Database.open(f"sqlite:///{tmp_path}/test.db", TABLES, None)

        database = loop.run(open_())
        tokens = Tokens(KeyRing(tmp_path / "keys"), "weft", timedelta(hours=1))
        second = SecondFactor(database, Seal(tmp_path / "sealing.key"), "weft", 0)
        found = World(database, loop, tokens, Login(database, tokens, Passwords(), 0, second))
        found.do(_roles)
        yield found
        loop.run(database.close())


def _roles(c: Any) -> None:
    made = {name: roles.create(c, {"name": name}).id for name in DEFAULT_ROLES}
    for name, implied in IMPLIES.items():
        for each in implied:
            implications.put(c, made[name], made[each])


@pytest.mark.timeout(300)  # much goes through the database: on a busy machine that takes its time
def test_what_was_handed_on_never_exceeds_outlives_or_leaves_what_its_owner_has(world: World) -> None:
    Delegation.world = world
    run_state_machine_as_test(
        Delegation,
        settings=settings(max_examples=15, stateful_step_count=15, suppress_health_check=list(HealthCheck)),
    )
