"""Projects that images are shared with."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from mesh import clock, paging
from mesh.caller import Caller
from mesh.errors import not_found, wrong_status
from services.image.model import Image, Member
from services.image.store import rows
from services.image.tables import members


def find(connection: Connection, image_id: str, project_id: str) -> Member | None:
    """What one project is to an image; None: nothing."""
    row = connection.execute(select(members).where(*_key(image_id, project_id))).one_or_none()
    return rows.member(row) if row else None


def add(connection: Connection, image: Image, project_id: str) -> Member:
    """Offer an image to a project; it may have been before. Raises WRONG_STATUS when it is not SHARED."""
    if image.visibility != "SHARED":
        raise wrong_status("image", image.id, image.visibility, ["SHARED"])
    known = find(connection, image.id, project_id)
    if known:
        return known
    values = {"image_id": image.id, "member_project_id": project_id, "status": "PENDING"}
    return rows.member(connection.execute(insert(members).values(values).returning(members)).one())


def set_status(connection: Connection, image_id: str, project_id: str, status: str) -> Member:
    """Note what the project says of the image. Raises NOT_FOUND when it is no member."""
    values = {"status": status, "updated_at": clock.now(), "revision": members.c.revision + 1}
    change = update(members).where(*_key(image_id, project_id)).values(values).returning(members)
    row = connection.execute(change).one_or_none()
    if row is None:
        raise not_found("member", project_id)
    return rows.member(row)


def remove(connection: Connection, image_id: str, project_id: str) -> None:
    """The image is shared with the project no longer. Raises NOT_FOUND when it was not."""
    if not connection.execute(delete(members).where(*_key(image_id, project_id))).rowcount:
        raise not_found("member", project_id)


def page(connection: Connection, request: Any, caller: Caller) -> tuple[list[Member], str]:
    """An image's members, oldest first: all for its own project, itself alone for a member."""
    image = rows.get(connection, request.image_id, caller.reach)
    query = select(members).where(members.c.image_id == image.id)
    if not image.belongs_to(caller.reach):
        query = query.where(members.c.member_project_id == caller.reach)
    order = [members.c.created_at, members.c.member_project_id]
    found, token = paging.page(connection, query, order, request, caller)
    return [rows.member(row) for row in found], token


def _key(image_id: str, project_id: str) -> list[Any]:
    return [members.c.image_id == image_id, members.c.member_project_id == project_id]
