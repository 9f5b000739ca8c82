"""Volume types. Exactly one is the default, and every project sees that one."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, true, update

from mesh import ids, locks, paging
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, invalid, not_found, wrong_status
from mesh.prepared import Prepared
from services.block.model import VolumeType
from services.block.store import rows
from services.block.tables import volume_types, volumes

_DEFAULT = Prepared(select(volume_types).where(volume_types.c.default))


def get(connection: Connection, id: str, reach: str | None) -> VolumeType:
    """One type that `reach` sees. Raises NOT_FOUND."""
    row = connection.execute(select(volume_types).where(volume_types.c.id == id, _seen(reach))).one_or_none()
    if row is None:
        raise not_found("volume_type", id)
    return rows.value(VolumeType, row)


def default(connection: Connection) -> VolumeType:
    """The type of a volume for which none was named."""
    row = _DEFAULT.one(connection)
    assert row is not None  # a migration makes one, and another takes its place in one unit
    return rows.value(VolumeType, row)


def page(connection: Connection, request: Any, caller: Caller) -> tuple[list[VolumeType], str]:
    """A page of the types that the caller sees, oldest first."""
    query = select(volume_types).where(_seen(caller.reach))
    if request.name:
        query = query.where(volume_types.c.name == request.name)
    order = [volume_types.c.created_at, volume_types.c.id]
    found, token = paging.page(connection, query, order, request, caller)
    return [rows.value(VolumeType, row) for row in found], token


def create(connection: Connection, values: Mapping[str, Any]) -> VolumeType:
    """A new type. Raises ALREADY_EXISTS for a name that is taken."""
    _hold(connection)
    id = ids.new()
    _check(connection, id, values)
    _make_way(connection, values)
    connection.execute(insert(volume_types).values(id=id, **values))
    return get(connection, id, None)


def change(connection: Connection, id: str, revision: int, values: Mapping[str, Any]) -> VolumeType:
    """Change a type. Raises WRONG_STATUS for one that would leave the cloud without a default."""
    _hold(connection)
    before = get(connection, id, None)
    if before.default and values.get("default") is False:
        raise wrong_status("volume_type", id, "DEFAULT", ["another type made the default"])
    after = {"public": before.public, "default": before.default, "name": before.name, **values}
    _check(connection, id, after)
    _make_way(connection, values)
    compare_and_swap(connection, volume_types, id, revision, dict(values))
    return get(connection, id, None)


def remove(connection: Connection, id: str, revision: int) -> None:
    """Delete a type. Raises WRONG_STATUS for the default, IN_USE while a volume has it."""
    _hold(connection)
    if get(connection, id, None).default:
        raise wrong_status("volume_type", id, "DEFAULT", ["not the default"])
    user = connection.scalar(select(volumes.c.id).where(volumes.c.volume_type_id == id).limit(1))
    if user:
        raise rows.in_use("volume_type", id, "volume", user)
    compare_and_swap(connection, volume_types, id, revision, {})
    connection.execute(delete(volume_types).where(volume_types.c.id == id))


def _hold(connection: Connection) -> None:
    locks.hold(connection, "block volume types")


def _seen(reach: str | None) -> Any:
    return true() if reach is None else volume_types.c.public


def _check(connection: Connection, id: str, values: Mapping[str, Any]) -> None:
    if values["default"] and not values["public"]:
        raise invalid("default", "the default is used by every project, so every project must see it")
    same = select(volume_types.c.id).where(volume_types.c.name == values["name"], volume_types.c.id != id)
    if connection.scalar(same):
        message = f"There is a volume_type {values['name']} already: choose another name."
        raise CloudError("ALREADY_EXISTS", message, resource_type="volume_type", name=values["name"])


def _make_way(connection: Connection, values: Mapping[str, Any]) -> None:
    if values.get("default"):
        connection.execute(update(volume_types).values(default=False))
