"""Events: written with the change, watched from any revision, never with a gap."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import Connection, MetaData

from mesh import clock, outbox, watch
from mesh.database import Database
from mesh.errors import CloudError
from mesh.watch import Event
from weft.compute.v1 import resources_pb2


def tell(connection: Connection, id: str, project: str = "p", kind: str = "flavor") -> int:
    return outbox.append(connection, "CREATED", kind, id, project, resources_pb2.Flavor(id=id))


async def first(database: Database, count: int, from_revision: int | None, reach: str | None) -> list[Event]:
    """The first `count` events of a watch on flavors."""
    found = []
    async with asyncio.timeout(10):
        stream = watch.stream(database, "flavor", from_revision, reach)
        async for event in stream:
            found.append(event)
            if len(found) == count:
                await stream.aclose()
                break
    return found


async def test_a_watch_from_the_start_sees_what_was_and_what_comes(database: Database) -> None:
    await database.write(tell, "a")
    watching = asyncio.create_task(first(database, 2, 0, None))
    await asyncio.sleep(0.05)
    await database.write(tell, "b")
    events = await watching
    assert [event.resource_id for event in events] == ["a", "b"]
    assert resources_pb2.Flavor.FromString(events[0].payload).id == "a"
    assert events[0].revision < events[1].revision


async def test_a_watch_from_a_revision_sees_only_what_is_later(database: Database) -> None:
    revision = await database.write(tell, "a")
    await database.write(tell, "b")
    assert [event.resource_id for event in await first(database, 1, revision, None)] == ["b"]


async def test_a_watch_from_now_sees_nothing_older(database: Database) -> None:
    await database.write(tell, "a")
    watching = asyncio.create_task(first(database, 1, None, None))
    await asyncio.sleep(0.1)
    await database.write(tell, "b")
    assert [event.resource_id for event in await watching] == ["b"]


async def test_a_watch_shows_one_project_its_own_and_one_type(database: Database) -> None:
    await database.write(tell, "mine")
    await database.write(tell, "theirs", "q")
    await database.write(tell, "other", "p", "server")
    await database.write(tell, "mine too")
    assert [event.resource_id for event in await first(database, 2, 0, "p")] == ["mine", "mine too"]
    assert [event.resource_id for event in await first(database, 3, 0, None)] == [
        "mine",
        "theirs",
        "mine too",
    ]


async def test_many_writers_leave_no_gap_and_no_doubles_to_any_watcher(database: Database) -> None:
    watchers = [asyncio.create_task(first(database, 200, 0, None)) for _ in range(3)]
    await asyncio.gather(*(database.write(tell, f"{n}") for n in range(200)))
    for events in await asyncio.gather(*watchers):
        revisions = [event.revision for event in events]
        assert revisions == sorted(set(revisions))
        assert {event.resource_id for event in events} == {f"{n}" for n in range(200)}


async def test_an_event_of_a_unit_that_failed_is_never_seen(database: Database) -> None:
    def fail(connection: Connection) -> None:
        tell(connection, "never")
        raise CloudError("IN_USE", "on purpose")

    with pytest.raises(CloudError):
        await database.write(fail)
    await database.write(tell, "b")
    assert [event.resource_id for event in await first(database, 1, 0, None)] == ["b"]


async def test_a_watch_from_where_events_are_no_longer_kept_is_told_so(database: Database) -> None:
    revision = await database.write(tell, "old")
    later = clock.now() + timedelta(hours=25)
    with clock.told_by(lambda: later):
        assert await database.write(outbox.forget) == 1
    await database.write(tell, "new")
    with pytest.raises(CloudError) as caught:
        await first(database, 1, 0, None)
    assert caught.value.reason == "WATCH_TOO_OLD"
    assert [event.resource_id for event in await first(database, 1, revision, None)] == ["new"]


async def test_a_watcher_that_lags_is_cut_not_fed_gaps(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "BACKLOG", 5)
    stream = watch.stream(database, "flavor", 0, None)
    await database.write(tell, "first")
    assert (await anext(stream)).resource_id == "first"
    step = asyncio.create_task(anext(stream))
    await database.write(tell, "second")
    assert (await step).resource_id == "second"
    for n in range(20):
        await database.write(tell, f"{n}")
    await asyncio.sleep(0.2)
    with pytest.raises(CloudError) as caught:
        async for _ in stream:
            pass
    assert caught.value.reason == "WATCH_TOO_OLD"


async def test_events_of_another_process_are_seen_within_a_poll(
    database: Database, database_url: str
) -> None:

    from mesh import tables

    metadata = MetaData()
    tables.add_to(metadata)
    other = Database.open(database_url, metadata, None)
    watching = asyncio.create_task(first(database, 1, 0, None))
    await asyncio.sleep(0.05)
    await other.write(tell, "from afar")
    assert [event.resource_id for event in await watching] == ["from afar"]
    await other.close()
