"""Rows as values, who sees them, and the events that tell of their changes."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Literal

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    false,
    or_,
    select,
    true,
)

from mesh import outbox
from mesh.errors import not_found
from mesh.prepared import Prepared
from services.image import messages
from services.image.model import Image, Member
from services.image.tables import images, members, tags

_FIELDS = [field.name for field in fields(Image) if field.name != "tags"]
_TAGS = select(tags.c.image_id, tags.c.tag).order_by(tags.c.tag)
_TAGS = Prepared(_TAGS.where(tags.c.image_id.in_(bindparam("ids", expanding=True))))


def with_tags(connection: Connection, rows: Iterable[Row[Any]]) -> list[Image]:
    """Rows of `images` as values, with their tags in order."""
    rows = list(rows)
    found: dict[str, list[str]] = {row.id: [] for row in rows}
    for image_id, tag in _TAGS.all(connection, ids=list(found)):
        found[image_id].append(tag)
    return [Image(**{name: getattr(row, name) for name in _FIELDS}, tags=found[row.id]) for row in rows]


def visible(reach: str | BindParameter[str] | None, *, answered: Sequence[str] = ()) -> ColumnElement[bool]:
    """The condition on `images` for what a project sees by id, or in its lists: there are those alone of
    what others share with it that it `answered` so.
    """
    if reach is None:
        return true()
    shared = [members.c.image_id == images.c.id, members.c.member_project_id == reach]
    if answered:
        shared.append(members.c.status.in_(answered))
    open_to_all = ["PUBLIC"] if answered else ["PUBLIC", "COMMUNITY"]
    return or_(
        false() if isinstance(reach, str) and not reach else images.c.project_id == reach,
        images.c.visibility.in_(open_to_all),
        and_(images.c.visibility == "SHARED", select(members).where(*shared).exists()),
    )


def get(connection: Connection, id: str, reach: str | None, *, lock: bool = False) -> Image:
    """One image that `reach` sees. Raises NOT_FOUND."""
    query = _get(everything=reach is None, lock=lock)
    found = with_tags(connection, query.all(connection, id=id, reach=reach or None))
    if not found:
        raise not_found("image", id)
    return found[0]


@cache
def _get(*, everything: bool, lock: bool) -> Prepared:
    seen = visible(None if everything else bindparam("reach"))
    query = select(images).where(images.c.id == bindparam("id"), seen)
    return Prepared(query.with_for_update() if lock else query)


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
