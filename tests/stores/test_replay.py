"""The same mutation sent again answers what the first one did."""

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from mesh import clock, ids, replay, tables
from mesh.caller import Caller, Kind
from mesh.database import Database
from mesh.errors import CloudError
from mesh.shared_key import Seal
from weft.compute.v1 import flavor_service_pb2, resources_pb2

ADA = Caller(kind=Kind.USER, user_id="ada", project_id="p", scope="project")
BOB = Caller(kind=Kind.USER, user_id="bob", project_id="q", scope="project")


class Maker:
    """Makes a flavor with a new id each time that it is really asked."""

    def __init__(self) -> None:
        self.made = 0

    def make(self, connection: Connection, who: Caller, name: str, request_id: str) -> resources_pb2.Flavor:
        request = flavor_service_pb2.CreateFlavorRequest(name=name, request_id=request_id)

        def do() -> resources_pb2.Flavor:
            self.made += 1
            return resources_pb2.Flavor(id=ids.new(), name=name)

        return replay.once(connection, who, request, resources_pb2.Flavor, do)


async def test_a_replay_answers_what_the_first_did(database: Database) -> None:
    maker, request_id = Maker(), ids.new()
    first = await database.write(maker.make, ADA, "x", request_id)
    second = await database.write(maker.make, ADA, "x", request_id)
    assert first == second
    assert maker.made == 1


async def test_ten_at_once_make_one_thing(database: Database) -> None:
    maker, request_id = Maker(), ids.new()
    answers = await asyncio.gather(*(database.write(maker.make, ADA, "x", request_id) for _ in range(10)))
    assert len({answer.id for answer in answers}) == 1
    assert await database.read(lambda c: c.scalar(select(func.count()).select_from(tables.requests))) == 1


async def test_without_a_request_id_each_call_makes_a_thing(database: Database) -> None:
    maker = Maker()
    first = await database.write(maker.make, ADA, "x", "")
    second = await database.write(maker.make, ADA, "x", "")
    assert first.id != second.id


async def test_a_request_id_used_for_a_different_request_is_refused(database: Database) -> None:
    maker, request_id = Maker(), ids.new()
    await database.write(maker.make, ADA, "x", request_id)
    with pytest.raises(CloudError) as caught:
        await database.write(maker.make, ADA, "y", request_id)
    assert (caught.value.reason, caught.value.metadata["request_id"]) == ("REQUEST_ID_REUSED", request_id)


async def test_a_request_that_was_taken_back_before_it_came_is_refused(database: Database) -> None:
    maker, early, late = Maker(), ids.new(), ids.new()
    kind = flavor_service_pb2.CreateFlavorRequest
    first = await database.write(maker.make, ADA, "x", early)
    for request_id in (early, late, late):
        await database.write(replay.take_back, ADA, kind, request_id)
    assert await database.write(maker.make, ADA, "x", early) == first
    with pytest.raises(CloudError) as caught:
        await database.write(maker.make, ADA, "x", late)
    assert caught.value.reason == "CANCELLED"
    assert (await database.write(maker.make, BOB, "x", late)).id
    assert maker.made == 2


async def test_anothers_request_id_is_ones_own(database: Database) -> None:
    maker, request_id = Maker(), ids.new()
    first = await database.write(maker.make, ADA, "x", request_id)
    assert (await database.write(maker.make, BOB, "x", request_id)).id != first.id


async def test_a_mutation_that_failed_may_be_sent_again(database: Database) -> None:
    maker, request_id = Maker(), ids.new()

    def fail(connection: Connection) -> None:
        maker.make(connection, ADA, "x", request_id)
        raise CloudError("IN_USE", "on purpose")

    with pytest.raises(CloudError):
        await database.write(fail)
    await database.write(maker.make, ADA, "x", request_id)
    assert maker.made == 2


async def test_answers_are_forgotten_after_a_day_and_not_before(database: Database) -> None:
    request_id, real = ids.new(), clock.now
    maker = Maker()
    await database.write(maker.make, ADA, "x", request_id)
    assert await database.write(replay.forget) == 0
    tomorrow = real() + timedelta(hours=25)
    with clock.told_by(lambda: tomorrow):
        assert await database.write(replay.forget) == 1


async def test_what_was_sent_cannot_be_guessed_by_a_copy_of_the_database(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But by those who share the key it is known again."""
    monkeypatch.setattr(replay, "seal", keyed(tmp_path / "one"))
    maker, request_id = Maker(), ids.new()
    first = await database.write(maker.make, ADA, "x", request_id)
    sent = flavor_service_pb2.CreateFlavorRequest(name="x", request_id=request_id)
    kept = await database.read(lambda c: c.scalar(select(tables.requests.c.digest)))
    assert kept != hashlib.sha256(sent.SerializeToString(deterministic=True)).digest()

    monkeypatch.setattr(replay, "seal", keyed(tmp_path / "one"))
    assert await database.write(maker.make, ADA, "x", request_id) == first
    monkeypatch.setattr(replay, "seal", keyed(tmp_path / "another"))
    with pytest.raises(CloudError) as caught:
        await database.write(maker.make, ADA, "x", request_id)
    assert caught.value.reason == "REQUEST_ID_REUSED"


def keyed(path: Path) -> Seal:
    """A seal by the key in this file."""
    seal = Seal()
    seal.use(path)
    return seal
