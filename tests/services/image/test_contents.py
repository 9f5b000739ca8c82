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
    """A database that ends each write by this error; no row is seen in it yet."""

    def __init__(self, error: CloudError) -> None:
        self._error = error

    async def write(self, fn: Callable[..., Any]) -> Any:
        raise self._error

    async def read(self, fn: Callable[..., Any], *args: Any) -> Any:
        return False


async def published(root: Path, error: CloudError) -> bool:
    """Whether a content is there after its row was written with such an end."""
    blobs = Blobs(root)
    contents = Contents(Trouble(error), blobs)  # type: ignore[arg-type]

    def refer(connection: Connection) -> None:
        raise AssertionError("the database does that")

    with blobs.spool() as file:
        file.write(DATA)
        with pytest.raises(CloudError) as refused:
            await contents.publish(CONTENT, file, refer)
    assert refused.value is error
    return blobs.path(CONTENT.sha256).exists()


async def test_a_content_stays_while_nobody_knows_whether_its_row_was_written(tmp_path: Path) -> None:
    assert await published(tmp_path / "a", CloudError("UNAVAILABLE", "It does not answer.", service="image"))
    assert not await published(tmp_path / "b", CloudError("NOT_FOUND", "The image is gone."))
