"""Lists whose messages are kept as bytes show what stands in the database, and keep no more than they may."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, Table, delete, insert, select

from mesh import clock, columns, ids, tables
from mesh.caller import Caller, Kind
from mesh.database import Database, compare_and_swap
from mesh.kept import Kept
from weft.compute.v1 import flavor_service_pb2 as pb
from weft.compute.v1.resources_pb2 import Flavor

_metadata = MetaData()
tables.add_to(_metadata)
parts = Table("parts", _metadata, *columns.resource_columns())
ADA = Caller(kind=Kind.USER, user_id="ada", project_id="p", scope="project")
ORDER = [parts.c.created_at, parts.c.id]


@pytest.fixture
def metadata() -> MetaData:
    return _metadata


class Book:
    """A list that is kept, and how many messages were made for it."""

    def __init__(self, database: Database, most: int = 1 << 20) -> None:
        self.database, self.made = database, 0
        self._kept = Kept(parts, self._make, most)

    def _make(self, _: Connection, rows: Sequence[Any]) -> list[Flavor]:
        self.made += len(rows)
        return [Flavor(id=row.id, name=row.name) for row in rows]

    async def names(self, request: Any = None, order: Sequence[Any] = ORDER) -> list[str]:
        wanted = request or pb.ListFlavorsRequest()
        page, self.token = await self.database.read(self._kept.page, select(parts), order, wanted, ADA)
        return [Flavor.FromString(content).name for content in page]


def put(connection: Connection, *names: str, **values: Any) -> list[str]:
    """Rows of these names, each younger than the one before; their ids."""
    made, now = [ids.new() for _ in names], clock.now()
    for place, (id, name) in enumerate(zip(made, names, strict=True)):
        row = {"id": id, "name": name, "project_id": "p", "status": "NEW"} | values
        row.setdefault("created_at", now + timedelta(microseconds=place))
        connection.execute(insert(parts).values(**row))
    return made


async def test_a_message_is_made_once_a_revision(database: Database) -> None:
    book = Book(database)
    one, _ = await database.write(put, "one", "two")
    assert (await book.names(), book.made) == (["one", "two"], 2)
    assert (await book.names(), book.made) == (["one", "two"], 2)
    await database.write(compare_and_swap, parts, one, None, {"name": "other"})
    assert (await book.names(), book.made) == (["other", "two"], 3)


async def test_what_is_deleted_is_not_there_and_what_is_made_again_by_its_id_is_new(
    database: Database,
) -> None:
    book = Book(database)
    one, two = await database.write(put, "one", "two")
    assert await book.names() == ["one", "two"]
    await database.write(lambda c: c.execute(delete(parts).where(parts.c.id.in_([one, two]))))
    assert await book.names() == []
    await database.write(put, "again", id=one)
    assert await book.names() == ["again"]


async def test_pages_and_orders_of_kept_messages_are_those_of_the_rows(database: Database) -> None:
    book = Book(database)
    await database.write(put, "b", "c", "a")
    assert await book.names() == ["b", "c", "a"]
    by_name = [parts.c.name.desc(), parts.c.id.desc()]
    assert await book.names(pb.ListFlavorsRequest(page_size=2), by_name) == ["c", "b"]
    assert await book.names(pb.ListFlavorsRequest(page_token=book.token), by_name) == ["a"]
    assert book.made == 3


async def test_the_oldest_are_given_up_at_the_bound(database: Database) -> None:
    book = Book(database, most=1000)  # two of them
    await database.write(put, "one", "two", "three")
    first = pb.ListFlavorsRequest(page_size=1)
    assert await book.names() == ["one", "two", "three"]
    newest = [column.desc() for column in ORDER]
    assert (await book.names(first, newest), book.made) == (["three"], 3)
    assert (await book.names(first), book.made) == (["one"], 4)
    assert await book.names() == ["one", "two", "three"]


async def test_what_is_larger_than_the_bound_is_shown_all_the_same(database: Database) -> None:
    book = Book(database, most=1)
    await database.write(put, "one", "two")
    assert await book.names() == ["one", "two"]
    assert (await book.names(), book.made) == (["one", "two"], 4)
