"""An image's content is fetched over HTTP.

step             does                                                        undo
fetch content    brings it, looks at it, and keeps it under its digest       lets go of it
give it out      the image is ACTIVE; the commit point                       -

It ends ACTIVE, or QUEUED with nothing of the content anywhere. A worker that takes over in the middle of the
first step fetches from the start, unless the content was kept already. An image that is deleted meanwhile
takes its import with it.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mesh import limits as quota
from mesh.database import Connection, Database
from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from mesh.limits import Limits
from services.image import store, taking
from services.image.contents import Contents
from services.image.sources import Source, Sources

# Seconds. Time for 100 GiB at 100 Mbit/s.
_FETCH_SECONDS = 3 * 3600.0
# Seconds between two words of how far it is.
_TELL_EVERY = 2.0


@dataclass(frozen=True, slots=True)
class App:
    """The service as its flows see it."""

    database: Database
    limits: Limits
    contents: Contents
    sources: Sources


async def fetch(run: Run) -> None:
    """Bring it, and keep it."""
    app: App = run.app
    image = await app.database.read(store.imports.get, run.target_id, run.operation_id)
    if image.sha256:
        return  # it was kept, which was not journalled any more
    limits = await app.limits.of(run.project_id)
    used = await app.database.read(store.images.used_bytes, run.project_id)
    async with app.sources.opened(run.input["uri"]) as source:
        quota.check(limits, "image_bytes", used, source.total)
        with app.contents.blobs.telling_when_full(), app.contents.blobs.spool() as file:
            chunks = taking.bounded(_telling(run, source), limits, used)
            content = await taking.take(file, chunks, image.disk_format, run.input["sha256"])
            before = await app.contents.publish(
                content, file, store.imports.keep, run.target_id, run.operation_id, run.epoch, content, limits
            )
    if before not in ("", content.sha256):
        await app.contents.discard(before)


async def let_go(run: Run) -> None:
    """Take away what was kept."""
    kept = await run.app.database.write(store.imports.forget, run.target_id, run.operation_id)
    if kept:
        await run.app.contents.discard(kept)


def give_out(connection: Connection, run: Run) -> None:
    """It is there for everybody who sees the image."""
    store.imports.activate(connection, run.target_id, run.operation_id)


def failed(connection: Connection, run: Run, error: CloudError) -> None:
    """It can be imported again, or uploaded."""
    store.imports.give_up(connection, run.target_id, run.operation_id, error.message)


async def _telling(run: Run, source: Source) -> AsyncIterator[bytes]:
    """The chunks; every now and then the operation says how many bytes there are by then."""
    clock, done = asyncio.get_running_loop().time, 0
    await run.tell(done, source.total)
    said = clock()
    async for chunk in source.chunks:
        done += len(chunk)
        if clock() - said > _TELL_EVERY:
            await run.tell(done, source.total)
            said = clock()
        yield chunk
    await run.tell(done, source.total)


IMPORT = Flow(
    kind="image.import",
    target_type="image",
    steps=(
        Step("fetch content", fetch, let_go, deadline=_FETCH_SECONDS, attempts=4),
        Step("give it out", give_out, local=True),
    ),
    deadline=_FETCH_SECONDS + 3600.0,
    failed=failed,
)
