"""The audit trail: who did what, what was refused, and who may read of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from mesh import audit as trails
from mesh import clock, ids
from mesh.certificates import Identity as Certified
from mesh.errors import CloudError
from mesh.settings import Settings
from services.identity.store import audit
from tests.services.harness import until
from tests.services.identity.conftest import SYSTEM, Cloud, Person, Scope, running
from tests.services.identity.delegating import credential, program, trust, trustee
from weft.identity.v1 import audit_service_pb2 as pb
from weft.identity.v1 import user_service_pb2 as user_pb
from weft.identity.v1.audit_service_pb2_grpc import AuditServiceStub


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds follow each other quickly."""
    monkeypatch.setattr(trails, "EVERY", 0.02)


async def events(person: Person, **filters: Any) -> list[pb.AuditEvent]:
    """What somebody sees of the trail, oldest first."""
    stub = person.client.stub(AuditServiceStub)
    answer = await stub.ListEvents(pb.ListEventsRequest(page_size=1000, **filters))
    return list(reversed(answer.events))


async def event(person: Person, **filters: Any) -> pb.AuditEvent:
    """The one that these filters find, once it is there."""
    found: list[pb.AuditEvent] = []

    async def there() -> bool:
        found[:] = await events(person, **filters)
        return bool(found)

    await until(there, 60)
    assert len(found) == 1
    return found[0]


async def test_a_change_is_told_with_who_what_where_and_nothing_of_the_request(either: Cloud) -> None:
    admin = await either.admin()
    secret = f"the password {ids.new()}"
    made = await admin.users.CreateUser(user_pb.CreateUserRequest(name="ann", password=secret))
    told = await event(admin, action="identity.users.create", target_id=made.id)
    assert (told.outcome, told.target.type_uri) == ("success", "identity/users")
    assert (told.initiator.id, told.initiator.name) == (admin.info.user_id, "admin")
    assert told.initiator.user_domain_id == admin.info.user_domain_id
    assert told.initiator.host.address
    assert (told.observer.type_uri, told.observer.id) == ("service", "identity")
    assert told.request_path == "/weft.identity.v1.UserService/CreateUser"
    assert abs(clock.from_proto(told.event_time) - clock.now()) < timedelta(minutes=2)
    assert secret not in str(await events(admin))


async def test_where_it_is_wanted_each_look_is_told_and_a_stream_once(
    cloud: Settings,
) -> None:
    wanted = replace(cloud, cloud=replace(cloud.cloud, audit_reads=True))
    async with running(wanted) as world:
        admin = await world.admin()
        ann = await world.user("ann")
        await admin.users.GetUser(user_pb.GetUserRequest(id=ann.id))
        seen = await event(admin, action="identity.users.get", target_id=ann.id)
        assert (seen.outcome, seen.initiator.id) == ("success", admin.info.user_id)
        heard = asyncio.create_task(anext(_watch(admin, action="identity.users.create")))
        assert (await event(admin, action="identity.audit.watch")).outcome == "success"
        bob = await world.user("bob")
        assert (await heard).target.id == bob.id
        assert len(await events(admin, action="identity.audit.watch")) == 1
        await admin.users.CreateUser(user_pb.CreateUserRequest(name="x", validate_only=True))
        assert [e.target.id for e in await events(admin, action="identity.users.create")] == [ann.id, bob.id]


async def test_what_only_validates_or_reads_is_not_told_but_its_refusal_is(world: Cloud) -> None:
    admin = await world.admin()
    await admin.users.CreateUser(user_pb.CreateUserRequest(name="x", validate_only=True))
    await admin.users.ListUsers(user_pb.ListUsersRequest())
    member, project = await world.member("ann")
    with pytest.raises(CloudError):
        await member.users.ListUsers(user_pb.ListUsersRequest())
    told = await event(admin, action="identity.users.list")
    assert (told.outcome, told.reason.reason_code) == ("failure", "PERMISSION_DENIED")
    assert (told.initiator.id, told.initiator.project_id) == (member.info.user_id, project.id)
    assert [e.target.id for e in await events(admin, action="identity.users.create")] == [member.info.user_id]


async def test_a_change_that_fails_is_told_with_its_reason(world: Cloud) -> None:
    admin, nobody = await world.admin(), ids.new()
    with pytest.raises(CloudError):
        await admin.users.DeleteUser(user_pb.DeleteUserRequest(id=nobody))
    told = await event(admin, target_id=nobody)
    assert (told.action, told.outcome, told.reason.reason_code) == (
        "identity.users.delete",
        "failure",
        "NOT_FOUND",
    )


async def test_logins_are_told_and_failed_ones_name_the_user_who_is_there(world: Cloud) -> None:
    admin = await world.admin()
    user = await world.user("ann")
    for name in ("ann", "no such user, or a password by mistake"):
        with pytest.raises(CloudError):
            await world.login(name, None, "wrong guess")
    ann = await world.login("ann")
    failed = await event(admin, initiator_id=user.id, outcome="failure")
    assert (failed.action, failed.reason.reason_code) == ("identity.tokens.create", "UNAUTHENTICATED")
    assert (failed.initiator.name, failed.initiator.user_domain_id) == ("ann", user.domain_id)
    assert (await event(admin, initiator_id=user.id, outcome="success")).action == "identity.tokens.create"

    async def stranger() -> bool:
        found = await events(admin, action="identity.tokens.create", outcome="failure")
        return any(e.initiator.type_uri == "unknown" and not e.initiator.name for e in found)

    await until(stranger, 60)
    assert "by mistake" not in str(await events(admin))
    assert "wrong guess" not in str(await events(admin))
    assert failed.id in {e.id for e in await events(ann)}  # people see who tried to be them


async def test_what_is_done_by_rights_that_were_handed_on_is_told_with_the_whole_chain(either: Cloud) -> None:
    admin = await either.admin()
    ann, _ = await either.member("ann")
    bob, _ = await either.member("bob")
    made = await credential(ann, unrestricted=True)
    robot = await program(either, made)
    lent = await trust(robot, bob.info.user_id)
    acting = await either.rescope(await trustee(either, "bob", lent.id))
    for who in (bob, robot, acting):
        with pytest.raises(CloudError):
            await who.users.ListUsers(user_pb.ListUsersRequest())

    async def all_told() -> bool:
        return len(await events(admin, action="identity.users.list")) == 3

    await until(all_told)
    told = [each.initiator for each in await events(admin, action="identity.users.list")]
    chains = {(each.credential_id, *each.delegation_ids) for each in told}
    assert chains == {("",), (made.id, made.id), (lent.id, made.id, lent.id)}
    logins = await events(admin, action="identity.tokens.create", outcome="success")
    by = [(each.initiator.credential_id, *each.initiator.delegation_ids) for each in logins]
    assert (made.id, made.id) in by
    assert (lent.id, made.id, lent.id) in by


async def test_what_one_sees_depends_on_ones_scope_and_role(world: Cloud) -> None:
    admin = await world.admin()
    ours, project = await world.member("ann")
    theirs, other = await world.member("bob")
    boss, reader = await world.user("boss"), await world.user("eve")
    for user, role in ((boss, "manager"), (reader, "reader")):
        await world.grant(user.id, role, project_id=project.id)
    for who in (ours, theirs):
        with pytest.raises(CloudError):
            await who.users.ListUsers(user_pb.ListUsersRequest())
    manager = await world.login("boss", Scope(project_id=project.id))
    onlooker = await world.login("eve", Scope(project_id=project.id))

    async def all_told() -> bool:
        refused = await events(admin, action="identity.users.list")
        return len(refused) == 2 and bool(await events(onlooker))

    await until(all_told, 60)
    assert {e.initiator.project_id for e in await events(manager)} == {project.id}
    # Who gave roles on the project is seen there too.
    assert {e.initiator.id for e in await events(manager)} == {ours.info.user_id, admin.info.user_id}
    assert {e.initiator.id for e in await events(onlooker)} == {reader.id}
    assert await events(manager, project_id=other.id) == []
    assert await events(manager, initiator_id=theirs.info.user_id) == []


async def test_a_domains_manager_sees_its_users_and_projects(world: Cloud) -> None:
    domain, elsewhere = await world.domain("here"), await world.domain("there")
    boss = await world.user("boss", domain_id=domain.id)
    stranger = await world.user("stranger", domain_id=elsewhere.id)
    await world.grant(boss.id, "manager", domain_id=domain.id)
    for name, where in (("boss", "here"), ("stranger", "there")):
        with pytest.raises(CloudError):
            await world.login(name, None, "wrong guess", domain_name=where)
    manager = await world.login("boss", Scope(domain_id=domain.id), domain_name="here")
    admin = await world.admin()
    await event(admin, initiator_id=stranger.id)
    await event(manager, initiator_id=boss.id, outcome="failure")
    assert await events(manager, initiator_id=stranger.id) == []


async def test_lists_are_filtered_by_time_and_paged(either: Cloud) -> None:
    admin = await either.admin()
    for number in range(5):
        await either.project(f"p{number}")

    async def all_there() -> bool:
        return len(await events(admin, action="identity.projects.create")) == 5

    await until(all_there, 60)
    wanted = await events(admin, action="identity.projects.create")
    stub, seen, token = admin.client.stub(AuditServiceStub), [], ""
    for _ in range(3):
        page = await stub.ListEvents(
            pb.ListEventsRequest(action="identity.projects.create", page_size=2, page_token=token)
        )
        seen += page.events
        token = page.next_page_token
    assert [e.id for e in reversed(seen)] == [e.id for e in wanted]
    assert token == ""
    middle = wanted[2].event_time
    late = await events(admin, action="identity.projects.create", since=middle)
    early = await events(admin, action="identity.projects.create", until=middle)
    assert [e.id for e in early + late] == [e.id for e in wanted]


async def test_who_watches_is_sent_what_they_may_see_as_it_happens(world: Cloud) -> None:
    admin = await world.admin()
    member, _ = await world.member("ann")
    everything = _watch(admin, action="identity.users.list")
    own = _watch(member)
    first = asyncio.ensure_future(anext(everything))
    mine = asyncio.ensure_future(anext(own))
    refused: set[str] = set()

    async def heard() -> bool:
        with pytest.raises(CloudError):
            await member.users.ListUsers(user_pb.ListUsersRequest())
        refused.add(member.info.user_id)
        return first.done() and mine.done()

    await until(heard, 60)
    assert (first.result().initiator.id, first.result().action) == (
        member.info.user_id,
        "identity.users.list",
    )
    assert mine.result().initiator.id == member.info.user_id
    assert first.result().revision > 0
    again = _watch(admin, from_revision=first.result().revision - 1, action="identity.users.list")
    assert (await anext(again)).id == first.result().id
    for stream in (everything, own, again):
        await stream.aclose()


def _watch(person: Person, **filters: Any) -> AsyncIterator[pb.AuditEvent]:
    stub = person.client.stub(AuditServiceStub)
    return aiter(stub.WatchEvents(pb.WatchEventsRequest(**filters)))


def told(**fields: Any) -> pb.AuditEvent:
    """An event as a host tells it."""
    made = pb.AuditEvent(
        id=ids.new(),
        action="node.guests.start",
        outcome="success",
        initiator={"id": "somebody"},
        target={"type_uri": "node/guests", "id": "guest"},
        **fields,
    )
    made.event_time.FromDatetime(clock.now())
    return made


async def test_a_host_tells_in_its_own_name_and_an_event_is_kept_once(either: Cloud) -> None:
    admin, host_id = await either.admin(), ids.new()
    host = either.client(Certified.node(host_id)).stub(AuditServiceStub)
    said = told(observer={"type_uri": "service", "id": "compute"})
    for _ in range(2):
        await host.RecordEvents(pb.RecordEventsRequest(events=[said]))
    kept = await event(admin, target_id="guest")
    assert (kept.observer.type_uri, kept.observer.id) == ("compute/node", host_id)
    with pytest.raises(CloudError) as refusal:
        await admin.client.stub(AuditServiceStub).RecordEvents(pb.RecordEventsRequest(events=[told()]))
    assert refusal.value.reason == "AUDIENCE_REFUSED"


async def test_the_trail_is_kept_for_its_days(world: Cloud) -> None:
    admin = await world.admin(SYSTEM)
    await event(admin, action="identity.tokens.create")
    database, now = world.runtime.database, clock.now()
    assert await database.write(audit.forget, 90) == 0
    with clock.told_by(lambda: now + timedelta(days=91)):
        assert await database.write(audit.forget, 90) > 0
    assert await events(admin, until=clock.to_proto(now)) == []
