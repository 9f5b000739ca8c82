"""Warnings: what finders tell, by topic, and what operators then read."""

from datetime import timedelta

import pytest
from sqlalchemy import MetaData

from mesh import clock, ids
from mesh.caller import Caller, Kind, acting_as
from mesh.database import Database
from mesh.errors import CloudError
from services.telemetry.store import warnings
from services.telemetry.tables import TABLES
from services.telemetry.warnings import Warnings
from weft.telemetry.v1.warning_service_pb2 import (
    ListWarningsRequest,
    ListWarningsResponse,
    ReportWarningsRequest,
    Warning,
)

OPERATOR = Caller(kind=Kind.USER, user_id=ids.new(), scope="system", roles=frozenset({"reader"}))
COMPUTE = Caller(kind=Kind.SERVICE, service="compute")


@pytest.fixture
def metadata() -> MetaData:
    return TABLES


def host(id: str) -> Caller:
    return Caller(kind=Kind.NODE, host_id=id)


def guest(id: str, message: str = "It is left alone.", **fields: object) -> Warning:
    return Warning(
        kind="WARNING_KIND_FOREIGN_GUEST", resource_type="guest", resource_id=id, message=message, **fields
    )


async def tell(database: Database, caller: Caller, topic: str, *found: Warning) -> None:
    with acting_as(caller):
        await Warnings(database).ReportWarnings(ReportWarningsRequest(topic=topic, warnings=found), None)


async def listed(database: Database, **filters: object) -> ListWarningsResponse:
    with acting_as(OPERATOR):
        return await Warnings(database).ListWarnings(ListWarningsRequest(**filters), None)


async def names(database: Database, **filters: object) -> list[str]:
    return [warning.resource_id for warning in (await listed(database, **filters)).warnings]


async def test_what_is_told_again_is_one_warning_and_what_is_not_is_over(database: Database) -> None:
    here = host(ids.new())
    await tell(database, here, "host", guest("a"), guest("b"))
    (first,) = (await listed(database, resource_id="a")).warnings
    later = clock.now() + timedelta(minutes=5)
    with clock.told_by(lambda: later):
        await tell(database, here, "host", guest("a", "It is still there."))
    (again,) = (await listed(database)).warnings
    assert (again.id, again.resource_id, again.message) == (first.id, "a", "It is still there.")
    assert again.first_seen_at == first.first_seen_at
    assert clock.from_proto(again.last_seen_at) == later
    assert again.source == f"node/{here.host_id}"
    await tell(database, here, "host")
    assert await names(database) == []


async def test_a_finder_speaks_for_itself_and_for_one_topic(database: Database) -> None:
    one, other = host(ids.new()), host(ids.new())
    await tell(database, one, "host", guest("a"))
    await tell(database, other, "host", guest("a"))
    await tell(database, COMPUTE, "volumes", guest("c"))
    await tell(database, COMPUTE, "guests")
    await tell(database, one, "host")
    assert {w.source for w in (await listed(database)).warnings} == {
        f"node/{other.host_id}",
        "service/compute",
    }


async def test_warnings_are_found_by_kind_host_thing_and_finder(database: Database) -> None:
    host_id = ids.new()
    lost = Warning(kind="WARNING_KIND_LOST_VOLUME", resource_type="volume", resource_id="v", host_id=host_id)
    await tell(database, COMPUTE, "guests", guest("a"), lost)
    assert sorted(await names(database)) == ["a", "v"]
    assert await names(database, kind="WARNING_KIND_LOST_VOLUME") == ["v"]
    assert await names(database, host_id=host_id) == ["v"]
    assert await names(database, resource_id="a") == ["a"]
    assert await names(database, source="service/block") == []
    first = await listed(database, page_size=1)
    second = await listed(database, page_size=1, page_token=first.next_page_token)
    assert {w.resource_id for w in (*first.warnings, *second.warnings)} == {"a", "v"}
    with pytest.raises(CloudError) as wrong:
        await listed(database, page_size=1, page_token=first.next_page_token, resource_id="a")
    assert wrong.value.reason == "PAGE_TOKEN_INVALID"


async def test_what_nobody_repeats_for_a_day_is_forgotten(database: Database) -> None:
    await tell(database, COMPUTE, "guests", guest("a"))
    for hours, left in ((23, ["a"]), (25, [])):
        later = clock.now() + timedelta(hours=hours)
        with clock.told_by(lambda moment=later: moment):
            await database.write(warnings.forget)
        assert await names(database) == left
