"""Records of images."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from mesh import flow, locks, paging
from mesh import limits as quota
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, wrong_status
from services.image.model import Image
from services.image.store import rows
from services.image.tables import images, tags

get = rows.get


def page(
    connection: Connection, request: Any, caller: Caller, wanted: Mapping[str, Any], answered: Sequence[str]
) -> tuple[list[Image], str]:
    """A page of what the caller sees, oldest first; `wanted` gives values by column and all `tags` it has.

    Of what others share with it, those are there that it `answered` so.
    """
    seen = rows.visible(caller.reach, answered=answered)
    query = select(images).where(seen, images.c.hidden == request.hidden)
    for name, value in wanted.items():
        if name == "tags":
            having = select(tags.c.image_id).where(tags.c.tag.in_(value)).group_by(tags.c.image_id)
            query = query.where(images.c.id.in_(having.having(func.count() == len(value))))
        else:
            query = query.where(images.c[name] == value)
    order = [images.c.created_at, images.c.id]
    found, token = paging.page(connection, query, order, request, caller)
    return rows.with_tags(connection, found), token


def create(connection: Connection, values: Mapping[str, Any], limits: Mapping[str, int]) -> Image:
    """A QUEUED image. Raises QUOTA_EXCEEDED, and ALREADY_EXISTS for an id that is taken."""
    values = dict(values)
    labels = values.pop("tags")
    claim(connection, values["project_id"], limits, {"images": 1})
    locks.hold(connection, f"image {values['id']}")
    if connection.scalar(select(images.c.id).where(images.c.id == values["id"])):
        message = f"There is an image {values['id']} already: choose another id, or none."
        raise CloudError("ALREADY_EXISTS", message, resource_type="image", name=values["id"])
    connection.execute(insert(images).values(**values, status="QUEUED"))
    _label(connection, values["id"], labels)
    image = get(connection, values["id"], None)
    rows.tell(connection, "CREATED", image)
    return image


def own(connection: Connection, id: str, caller: Caller, permission: str) -> Image:
    """One image that the caller may change, kept from others' changes until the unit ends.

    Raises NOT_FOUND where it does not see it, PERMISSION_DENIED where it only sees it.
    """
    image = get(connection, id, caller.reach, lock=True)
    if not image.belongs_to(caller.reach):
        message = f"The image {id} belongs to another project: only that may change it."
        roles = ",".join(sorted(caller.roles))
        raise CloudError("PERMISSION_DENIED", message, permission=permission, scope=caller.scope, role=roles)
    return image


def change(connection: Connection, id: str, revision: int, values: Mapping[str, Any]) -> Image:
    """Change an image; `tags`, where given, replace those it has. Raises REVISION_MISMATCH."""
    values = dict(values)
    labels = values.pop("tags", None)
    compare_and_swap(connection, images, id, revision, values)
    if labels is not None:
        connection.execute(delete(tags).where(tags.c.image_id == id))
        _label(connection, id, labels)
    image = get(connection, id, None)
    rows.tell(connection, "UPDATED", image)
    return image


def remove(connection: Connection, image: Image, revision: int) -> None:
    """Delete an image's record, and what gives it content. Raises WRONG_STATUS when it is protected."""
    if image.protected:
        raise wrong_status("image", image.id, "PROTECTED", ["unprotected"])
    if revision:
        compare_and_swap(connection, images, image.id, revision, {})
    if image.operation_id:
        flow.cancel(connection, image.operation_id)
    rows.tell(connection, "DELETED", image)
    connection.execute(delete(images).where(images.c.id == image.id))


def set_active(connection: Connection, id: str, active: bool) -> Image:
    """Make an image with content ACTIVE or DEACTIVATED; it may be so already."""
    wanted, other = ("ACTIVE", "DEACTIVATED") if active else ("DEACTIVATED", "ACTIVE")
    image = get(connection, id, None, lock=True)
    if image.status == wanted:
        return image
    if image.status != other:
        raise wrong_status("image", id, image.status, ["ACTIVE", "DEACTIVATED"])
    return change(connection, id, 0, {"status": wanted})


def refers(connection: Connection, sha256: str, *, active: bool = False) -> bool:
    """Whether any image (`active`: one that is given out) has the content with this digest."""
    query = select(images.c.id).where(images.c.sha256 == sha256)
    if active:
        query = query.where(images.c.status == "ACTIVE")
    return connection.scalar(query.limit(1)) is not None


def referred(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Those of the digests that images have."""
    return set(connection.scalars(select(images.c.sha256).where(images.c.sha256.in_(digests))))


def used_bytes(connection: Connection, project_id: str) -> int:
    """Bytes of content that a project's images have, each counted whole."""
    return _used(connection, [project_id])["image_bytes"]


def claim(
    connection: Connection, project_id: str, limits: Mapping[str, int], more: Mapping[str, int]
) -> None:
    """Raises QUOTA_EXCEEDED when the project may not have so much more; nobody else counts meanwhile."""
    quota.claim(connection, "image", project_id, limits, more, lambda these: _used(connection, these))


def _used(connection: Connection, project_ids: Sequence[str]) -> dict[str, int]:
    sums = select(func.count(), func.coalesce(func.sum(images.c.size_bytes), 0))
    count, size = connection.execute(sums.where(images.c.project_id.in_(project_ids))).one()
    return {"images": count, "image_bytes": int(size)}


def _label(connection: Connection, id: str, labels: list[str]) -> None:
    if labels:
        connection.execute(insert(tags), [{"image_id": id, "tag": tag} for tag in labels])
