"""Imports: the operation that is giving content to an image, and the content that it keeps until it ends."""

from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import Connection

from mesh import journal
from mesh import limits as quota
from mesh.errors import CloudError, wrong_status
from services.image.model import Content, Image
from services.image.store import images as records

_NOTHING = Content(0, 0, "", "")


def begin(connection: Connection, image: Image, operation_id: str) -> Image:
    """Make a QUEUED image IMPORTING, by this operation."""
    values = {"status": "IMPORTING", "status_reason": "", "operation_id": operation_id}
    return records.change(connection, image.id, 0, values)


def get(connection: Connection, id: str, operation_id: str, *, lock: bool = False) -> Image:
    """The image, while the operation is at it. Raises NOT_FOUND, WRONG_STATUS."""
    image = records.get(connection, id, None, lock=lock)
    if image.operation_id != operation_id:
        raise wrong_status("image", id, image.status, ["IMPORTING"])
    return image


def keep(
    connection: Connection,
    id: str,
    operation_id: str,
    epoch: int,
    content: Content,
    limits: Mapping[str, int],
) -> str:
    """The image holds this content, and nobody is given it yet; the digest of what it held before.

    Raises QUOTA_EXCEEDED, what `get` does, and Fenced for a worker that has lost the operation.
    """
    project_id = records.get(connection, id, None).project_id
    quota.hold(connection, "image", project_id, limits)
    before = get(connection, id, operation_id, lock=True)
    journal.still(connection, operation_id, epoch)
    records.claim(connection, project_id, limits, {"image_bytes": content.size_bytes - before.size_bytes})
    records.change(connection, id, 0, asdict(content))
    return before.sha256


def forget(connection: Connection, id: str, operation_id: str) -> str:
    """It holds nothing; the digest of what it held, "" for nothing."""
    image = _mine(connection, id, operation_id)
    if image is None or not image.sha256:
        return ""
    records.change(connection, id, 0, asdict(_NOTHING))
    return image.sha256


def activate(connection: Connection, id: str, operation_id: str) -> None:
    """What it holds is its content. Raises what `get` does."""
    get(connection, id, operation_id, lock=True)
    records.change(connection, id, 0, {"status": "ACTIVE", "operation_id": None})


def give_up(connection: Connection, id: str, operation_id: str, reason: str) -> None:
    """The image is QUEUED again, unless it is gone."""
    if _mine(connection, id, operation_id) is not None:
        values = {"status": "QUEUED", "status_reason": reason, "operation_id": None}
        records.change(connection, id, 0, values)


def _mine(connection: Connection, id: str, operation_id: str) -> Image | None:
    try:
        return get(connection, id, operation_id, lock=True)
    except CloudError as error:
        if error.reason not in ("NOT_FOUND", "WRONG_STATUS"):
            raise
        return None
