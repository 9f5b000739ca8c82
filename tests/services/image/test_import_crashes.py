"""An import dies and stumbles at each of its points: the image is ACTIVE with its content, or as it was."""

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from mesh.certificates import Authority
from mesh.limits import Limits
from mesh.settings import DatabaseSection, Settings
from services.image import sources
from services.image.blobs import Blobs
from services.image.contents import Contents
from services.image.flows import FLOWS
from services.image.flows.image_import import IMPORT, App
from services.image.sources import Sources
from tests.perils import (
    Died,
    Plan,
    Survivor,
    deaths,
    deaths_on_the_way_back,
    failures,
    failures_that_pass,
)
from tests.services.harness import House
from tests.services.image.conftest import digest, files
from tests.services.image.importing import Importer, fetching, importer, state
from tests.services.image.origin import Answer, origin
from weft.image.v1 import resources_pb2 as pb
from weft.operation.v1 import operation_pb2

DATA = os.urandom(1 << 16)


@asynccontextmanager
async def in_peril(running: House) -> AsyncIterator[Survivor]:
    """The service's flows, whose engines die and are replaced."""
    runtime = running.runtimes["image"]
    contents = Contents(runtime.database, Blobs(Path(runtime.settings.image.store)))
    limits = Limits(runtime.peers, "image", runtime.news)
    app = App(runtime.database, limits, contents, Sources(["127.0.0.1/32"], 1 << 30))
    # On PostgreSQL each death costs a lease.
    async with Survivor(runtime, FLOWS, app, lease=1.0) as survivor:
        yield survivor


async def goes_through(
    settings: Settings, authority: Authority, plans: Iterable[Plan]
) -> AsyncIterator[operation_pb2.Operation]:
    """The end of one import by plan; each is found whole, or as if it had never been asked for."""
    async with origin() as web, fetching(settings, authority) as running, in_peril(running) as survivor:
        who, store = importer(running), Path(running.settings.image.store)
        uri = web.uri("/disk", Answer(DATA))
        for plan in plans:
            image, before = await who.create(), survivor.deaths
            told = sum(isinstance(each, Died) for happens in plan.values() for each in happens)
            survivor.perils.plan = plan
            ended = await who.bring(image.id, uri)
            assert survivor.deaths - before == told, plan
            await _is_whole_or_not_there(who, image.id, store, state(ended))
            yield ended


async def _is_whole_or_not_there(who: Importer, image_id: str, store: Path, how: str) -> None:
    image = await who.get(image_id)
    assert image.operation_id == ""
    if how == "SUCCEEDED":
        assert image.status == pb.IMAGE_STATUS_ACTIVE
        assert await who.content(image_id) == DATA
        assert files(store) == {digest(DATA)}
    else:
        assert (image.status, image.sha256, files(store)) == (pb.IMAGE_STATUS_QUEUED, "", set())
        assert (await who.upload(image_id, DATA)).status == pb.IMAGE_STATUS_ACTIVE
    await who.delete(image_id)
    assert files(store) == set()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other attempts come soon."""
    monkeypatch.setattr(sources, "_AGAIN", 0.05)


async def test_it_ends_whole_wherever_its_service_dies(cloud: Settings, authority: Authority) -> None:
    async for ended in goes_through(cloud, authority, [*deaths(IMPORT), *failures_that_pass(IMPORT)]):
        assert state(ended) == "SUCCEEDED", ended.error


async def test_it_ends_as_it_was_wherever_it_fails_or_dies_on_the_way_back(
    cloud: Settings, authority: Authority
) -> None:
    async for ended in goes_through(cloud, authority, [*failures(IMPORT), *deaths_on_the_way_back(IMPORT)]):
        assert state(ended) == "FAILED"


async def test_on_postgresql_it_ends_whole_or_as_it_was_wherever_it_fails_or_dies(
    cloud: Settings, authority: Authority, postgres_url: str
) -> None:
    settings = structs.replace(cloud, database=DatabaseSection(postgres_url))
    whole = [*deaths(IMPORT), *failures_that_pass(IMPORT)]
    undone = [*failures(IMPORT), *deaths_on_the_way_back(IMPORT)]
    ends = [state(ended) async for ended in goes_through(settings, authority, [*whole, *undone])]
    assert ends == ["SUCCEEDED"] * len(whole) + ["FAILED"] * len(undone)
