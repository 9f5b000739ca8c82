"""Rows as values, who sees them, and the events that tell of their changes."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, false, or_, select, true

from mesh import outbox
from mesh.errors import not_found
from services.image import messages
from services.image.model import Image, Member
from services.image.tables import images, members, tags

_FIELDS = [field.name for field in fields(Image) if field.name != "tags"]


def with_tags(connection: Connection, rows: Iterable[Row[Any]]) -> list[Image]:
    """Rows of `images` as values, with their tags in order."""
    rows = list(rows)
    found: dict[str, list[str]] = {row.id: [] for row in rows}
    query = select(tags).where(tags.c.image_id.in_(found)).order_by(tags.c.tag)
    for image_id, tag in connection.execute(query):
        found[image_id].append(tag)
    return [Image(**{name: row._mapping[name] for name in _FIELDS}, tags=found[row.id]) for row in rows]


def visible(reach: str | None, *, listed: bool) -> ColumnElement[bool]:
    """The condition on `images` for what a project sees by id, or (`listed`) in its lists."""
    if reach is None:
        return true()
    shared = [members.c.image_id == images.c.id, members.c.member_project_id == reach]
    if listed:
        shared.append(members.c.status == "ACCEPTED")
    open_to_all = ["PUBLIC"] if listed else ["PUBLIC", "COMMUNITY"]
    return or_(
        images.c.project_id == reach if reach else false(),
        images.c.visibility.in_(open_to_all),
        and_(images.c.visibility == "SHARED", select(members).where(*shared).exists()),
    )


def get(connection: Connection, id: str, reach: str | None, *, lock: bool = False) -> Image:
    """One image that `reach` sees. Raises NOT_FOUND."""
    query = select(images).where(images.c.id == id, visible(reach, listed=False))
    rows = connection.execute(query.with_for_update() if lock else query)
    found = with_tags(connection, rows)
    if not found:
        raise not_found("image", id)
    return found[0]


def tell(connection: Connection, type: Literal["CREATED", "UPDATED", "DELETED"], image: Image) -> None:
    """Append the event of a change: one for its project, one for each project that has accepted it."""
    payload = messages.image(image)
    for project_id in (image.project_id, *_accepted(connection, image)):
        outbox.append(connection, type, "image", image.id, project_id, payload)


def _accepted(connection: Connection, image: Image) -> Sequence[str]:
    if image.visibility != "SHARED":
        return ()
    query = select(members.c.member_project_id).where(
        members.c.image_id == image.id, members.c.status == "ACCEPTED"
    )
    return connection.scalars(query).all()


def member(row: Row[Any]) -> Member:
    """A row of `members` as a value."""
    return Member(**row._mapping)
