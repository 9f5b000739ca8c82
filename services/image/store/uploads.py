"""Uploads: who is giving content to an image. One at a time, held by a lease that ends with its owner."""

from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from mesh import ids, moment
from mesh import limits as quota
from mesh.caller import Caller
from mesh.errors import not_found, wrong_status
from services.image.model import UPLOAD_LEASE, Content, Image
from services.image.store import images as records
from services.image.tables import images


def begin(connection: Connection, id: str, caller: Caller) -> Image:
    """Make a QUEUED image SAVING, for one uploader alone. Raises WRONG_STATUS."""
    return _begin(connection, records.own(connection, id, caller, "image.images.upload"))


def expected_of(connection: Connection, id: str, host_id: str) -> Image:
    """The image that this host is to bring the content of. Raises NOT_FOUND, where it is another too."""
    image = records.get(connection, id, None, lock=True)
    if image.uploader_host_id != host_id:
        raise not_found("image", id)
    return image


def begin_from(connection: Connection, id: str, host_id: str) -> Image:
    """The same from a host. Raises NOT_FOUND unless the content is to come from there, WRONG_STATUS."""
    return _begin(connection, expected_of(connection, id, host_id))


def _begin(connection: Connection, image: Image) -> Image:
    id = image.id
    if image.status != "QUEUED":
        raise wrong_status("image", id, image.status, ["QUEUED"])
    lease = {"upload_id": ids.new(), "upload_until": moment.now(UPLOAD_LEASE)}
    return records.change(connection, id, 0, {"status": "SAVING", "status_reason": "", **lease})


def beat(connection: Connection, upload: Image) -> bool:
    """Say that the upload lives; False when it has been taken for dead."""
    until = moment.now(UPLOAD_LEASE)
    change = update(images).where(images.c.id == upload.id, images.c.upload_id == upload.upload_id)
    return bool(connection.execute(change.values(upload_until=until)).rowcount)


def finish(connection: Connection, upload: Image, content: Content, limits: Mapping[str, int]) -> Image:
    """The image is ACTIVE with this content. Raises QUOTA_EXCEEDED, and WRONG_STATUS or
    NOT_FOUND when the upload is no longer this one's."""
    quota.hold(connection, "image", upload.project_id, limits)
    _still_mine(connection, upload)
    records.claim(connection, upload.project_id, limits, {"image_bytes": content.size_bytes})
    values = {
        "status": "ACTIVE",
        "size_bytes": content.size_bytes,
        "virtual_size_bytes": content.virtual_size_bytes,
        "sha256": content.sha256,
        "sha512": content.sha512,
    }
    return records.change(connection, upload.id, 0, {**values, "upload_id": None, "upload_until": None})


def give_up(connection: Connection, upload: Image, reason: str) -> None:
    """The image is QUEUED again, unless the upload is no longer this one's."""
    query = select(images.c.id).where(images.c.id == upload.id, images.c.upload_id == upload.upload_id)
    if connection.scalar(query.with_for_update()):
        values = {"status": "QUEUED", "status_reason": reason, "upload_id": None, "upload_until": None}
        records.change(connection, upload.id, 0, values)


def dead(connection: Connection) -> list[Image]:
    """Images whose uploader has given no sign of life for too long."""
    query = select(images.c.id).where(images.c.status == "SAVING", images.c.upload_until < moment.now())
    return [records.get(connection, id, None) for id in connection.scalars(query)]


def _still_mine(connection: Connection, upload: Image) -> None:
    image = records.get(connection, upload.id, None, lock=True)
    if image.upload_id != upload.upload_id:
        raise wrong_status("image", upload.id, image.status, ["SAVING"])
