"""Contents and what refers to them, where the database does not say what became of a write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mesh.database import Connection
from mesh.errors import CloudError
from services.image.blobs import Blobs
from services.image.contents import Contents
from services.image.model import Content
from tests.services.image.conftest import digest

DATA = b"content" * 100
CONTENT = Content(len(DATA), len(DATA), digest(DATA), "")


class Trouble:
    """A database that ends each write by this error. What it is said to have `kept` is seen."""

    def __init__(self, error: CloudError) -> None:
        self._error, self.kept = error, set[str]()

    async def write(self, fn: Callable[..., Any]) -> Any:
        raise self._error

    async def read(self, fn: Callable[..., Any], asked: Any) -> Any:
        return asked in self.kept if isinstance(asked, str) else self.kept & set(asked)


async def published(root: Path, error: CloudError) -> tuple[Trouble, Contents, Path]:
    """What is there after the row of a content was written with such an end."""
    blobs, database = Blobs(root), Trouble(error)
    contents = Contents(database, blobs)  # type: ignore[arg-type]

    def refer(connection: Connection) -> None:
        raise AssertionError("the database does that")

    with blobs.spool() as file:
        file.write(DATA)
        with pytest.raises(CloudError) as refused:
            await contents.publish(CONTENT, file, refer)
    assert refused.value is error
    return database, contents, blobs.path(CONTENT.sha256)


async def test_a_content_stays_while_nobody_knows_whether_its_row_was_written(tmp_path: Path) -> None:
    away = CloudError("UNAVAILABLE", "It does not answer.", service="image")
    database, contents, file = await published(tmp_path / "a", away)
    await contents.sweep()
    assert file.exists()
    database.kept.add(CONTENT.sha256)  # it was written, and is seen at last
    await contents.sweep()
    await contents.sweep()
    assert file.exists()
    _, _, refused = await published(tmp_path / "b", CloudError("NOT_FOUND", "The image is gone."))
    assert not refused.exists()


async def test_a_content_that_no_image_has_goes_with_the_second_sweep(tmp_path: Path) -> None:
    away = CloudError("UNAVAILABLE", "It does not answer.", service="image")
    _, contents, file = await published(tmp_path, away)
    torn = tmp_path / "incoming" / "torn"
    torn.touch()
    await contents.sweep()
    assert file.exists()
    assert not torn.exists()
    await contents.sweep()
    assert not file.exists()
