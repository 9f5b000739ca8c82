"""Lists page by page: complete, in order, and with tokens that are good for nothing else."""

from typing import Any

import pytest
from sqlalchemy import Connection, Index, MetaData, Table, event, insert, select, text

from mesh import clock, columns, ids, paging, tables
from mesh.caller import Caller, Kind
from mesh.database import Database
from mesh.errors import CloudError
from weft.compute.v1 import flavor_service_pb2 as pb
from weft.operation.v1 import operation_pb2

_metadata = MetaData()
tables.add_to(_metadata)
things = Table("things", _metadata, *columns.resource_columns())
Index("things_by_age", things.c.created_at, things.c.id)
ADA = Caller(kind=Kind.USER, user_id="ada", project_id="p", scope="project")
BOB = Caller(kind=Kind.USER, user_id="bob", project_id="q", scope="project")
ORDERS = {
    "by id": [things.c.id],
    "by name": [things.c.name, things.c.id],
    "newest first": [things.c.created_at.desc(), things.c.id],
    "both ways down": [things.c.name.desc(), things.c.id.desc()],
}


@pytest.fixture
def metadata() -> MetaData:
    return _metadata


@pytest.fixture
async def filled(database: Database) -> Database:
    """Twenty-five things, many of one name and one moment."""
    moment = clock.now()

    def fill(connection: Connection) -> None:
        rows = [
            {"id": ids.new(), "name": f"n{n % 3}", "project_id": "p", "status": "NEW", "created_at": moment}
            for n in range(25)
        ]
        connection.execute(insert(things), rows)

    await database.write(fill)
    return database


def get(connection: Connection, order: list[Any], request: Any, who: Caller = ADA) -> tuple[list[str], str]:
    rows, token = paging.page(connection, select(things), order, request, who)
    return [row.id for row in rows], token


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 4, 25, 1000])
async def test_the_pages_of_a_list_are_the_whole_list_in_its_order(
    filled: Database, order: str, size: int
) -> None:
    whole = await filled.read(lambda c: list(c.scalars(select(things.c.id).order_by(*ORDERS[order]))))
    found: list[str] = []
    token = ""
    while True:
        request = pb.ListFlavorsRequest(page_size=size, page_token=token)
        page, token = await filled.read(get, ORDERS[order], request)
        assert len(page) <= size
        found += page
        if not token:
            break
    assert found == whole


async def test_a_token_is_bound_to_the_filter_the_caller_and_the_list(filled: Database) -> None:
    order = ORDERS["by id"]
    _, token = await filled.read(get, order, pb.ListFlavorsRequest(page_size=5))
    wrong = [
        (pb.ListFlavorsRequest(page_token=token, name="x"), ADA),
        (pb.ListFlavorsRequest(page_token=token), BOB),
        (operation_pb2.ListOperationsRequest(page_token=token), ADA),
        (pb.ListFlavorsRequest(page_token=token[:-4] + "AAAA"), ADA),
        (pb.ListFlavorsRequest(page_token="not one of ours"), ADA),
        (pb.ListFlavorsRequest(page_token="é"), ADA),
    ]
    for request, who in wrong:
        with pytest.raises(CloudError) as caught:
            await filled.read(get, order, request, who)
        assert caught.value.reason == "PAGE_TOKEN_INVALID"
    page, _ = await filled.read(get, order, pb.ListFlavorsRequest(page_token=token))
    assert len(page) == 20


def plan(connection: Connection, request: Any) -> str:
    """How the database finds a page of the list by age, where indexes are worth their while."""
    said: list[tuple[str, Any]] = []

    def heard(_: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        said.append((statement, parameters))

    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL enable_seqscan = off"))
    event.listen(connection, "before_cursor_execute", heard)
    get(connection, [things.c.created_at, things.c.id], request)
    event.remove(connection, "before_cursor_execute", heard)
    explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    return str(connection.exec_driver_sql(f"{explain} {said[0][0]}", said[0][1]).all())


async def test_a_page_deep_in_a_list_does_not_read_what_comes_before(filled: Database) -> None:
    first = pb.ListFlavorsRequest(page_size=5)
    _, token = await filled.read(get, [things.c.created_at, things.c.id], first)
    begins = "Index Cond" if filled.backend.file is None else "SEARCH"
    assert begins not in await filled.read(plan, first)
    assert begins in await filled.read(plan, pb.ListFlavorsRequest(page_size=5, page_token=token))
