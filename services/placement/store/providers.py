"""Providers: made, moved, removed; each change is told to those who keep a view."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from mesh import clock, outbox
from mesh.caller import Caller
from mesh.errors import CloudError, invalid, not_found
from mesh.paging import page
from mesh.prepared import Prepared
from services.placement.model import generation_conflict
from services.placement.store.names import in_use
from services.placement.tables import (
    allocations,
    inventories,
    provider_aggregates,
    provider_traits,
    providers,
)
from weft.placement.v1.resources_pb2 import Provider

EVENT = "provider"
_TOUCH = Prepared(
    update(providers)
    .where(providers.c.id == bindparam("touched"))
    .values(generation=providers.c.generation + 1, updated_at=bindparam("now"))
)


def get(connection: Connection, id: str, generation: int = 0) -> Row[Any]:
    """The provider's own row, at the generation that was read (0: any). Raises NOT_FOUND,
    GENERATION_CONFLICT.
    """
    row = connection.execute(select(providers).where(providers.c.id == id)).one_or_none()
    if row is None:
        raise not_found("provider", id)
    if generation and row.generation != generation:
        raise generation_conflict("provider", id, generation, row.generation)
    return row


def touch(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """The providers changed: their generations grow, and it is told. The revision of each one's event."""
    revisions = {}
    for id in sorted(ids):
        _TOUCH.run(connection, touched=id, now=clock.now())
        revisions[id] = outbox.append(connection, "UPDATED", EVENT, id, "", Provider(id=id))
    return revisions


def create(connection: Connection, id: str, name: str, parent_id: str) -> None:
    """A new provider without anything. Raises ALREADY_EXISTS, or INVALID_ARGUMENT for the parent."""
    root_id = _parent(connection, parent_id).root_id if parent_id else id
    values = {"id": id, "name": name, "parent_id": parent_id or None, "root_id": root_id}
    try:
        connection.execute(insert(providers).values(values))
    except IntegrityError as error:
        message = f"There is a provider with the name {name} or the id {id} already."
        raise CloudError("ALREADY_EXISTS", message, resource_type="provider", name=name) from error
    outbox.append(connection, "CREATED", EVENT, id, "", Provider(id=id))


def _parent(connection: Connection, id: str) -> Row[Any]:
    try:
        return get(connection, id)
    except CloudError as error:
        raise invalid("parent_id", f"there is no provider {id}") from error


def change(connection: Connection, id: str, name: str, parent_id: str, *, to_root: bool = False) -> None:
    """Another name or parent, where given, or none; all below moves along.

    Raises ALREADY_EXISTS, INVALID_ARGUMENT.
    """
    if name:
        other = connection.scalar(select(providers.c.id).where(providers.c.name == name))
        if other not in (None, id):
            message = f"There is a provider named {name} already."
            raise CloudError("ALREADY_EXISTS", message, resource_type="provider", name=name)
        connection.execute(update(providers).where(providers.c.id == id).values(name=name))
    moved = {id}
    if parent_id or to_root:
        root_id = _parent(connection, parent_id).root_id if parent_id else id
        moved = set(_below(connection, id))
        if parent_id in moved:
            raise invalid("parent_id", f"{parent_id} is below {id}")
        connection.execute(update(providers).where(providers.c.id == id).values(parent_id=parent_id or None))
        connection.execute(update(providers).where(providers.c.id.in_(moved)).values(root_id=root_id))
    touch(connection, moved)


def _below(connection: Connection, id: str) -> list[str]:
    tree = select(providers.c.id).where(providers.c.id == id).cte("tree", recursive=True)
    tree = tree.union(select(providers.c.id).join(tree, providers.c.parent_id == tree.c.id))
    return list(connection.scalars(select(tree.c.id)))


def remove(connection: Connection, id: str, expected_generation: int) -> None:
    """Delete a provider. Raises IN_USE while it has allocations or children."""
    row = get(connection, id)
    if expected_generation and row.generation != expected_generation:
        message = f"The provider {id} is at revision {row.generation}: read it again."
        raise CloudError(
            "REVISION_MISMATCH",
            message,
            resource_type="provider",
            id=id,
            expected=expected_generation,
            actual=row.generation,
        )
    holder = select(allocations.c.consumer_id).where(allocations.c.provider_id == id).limit(1)
    child = select(providers.c.id).where(providers.c.parent_id == id).limit(1)
    for kind, query in (("consumer", holder), ("provider", child)):
        used_by = connection.scalar(query)
        if used_by:
            raise in_use("provider", id, kind, used_by)
    connection.execute(delete(providers).where(providers.c.id == id))
    outbox.append(connection, "DELETED", EVENT, id, "", Provider(id=id))


def listed(connection: Connection, request: Any, caller: Caller) -> tuple[list[str], str]:
    """Ids of a page of providers that satisfy every filter, and the token of the next."""
    query = select(providers.c.id, providers.c.created_at)
    if request.name:
        query = query.where(providers.c.name == request.name)
    if request.in_tree:
        root = select(providers.c.root_id).where(providers.c.id == request.in_tree).scalar_subquery()
        query = query.where(providers.c.root_id == root)
    for name, amount in sorted(request.resources.items()):
        query = query.where(_has_room(name, amount))
    for trait in request.required_traits:
        query = query.where(_among(provider_traits, provider_traits.c.trait == trait))
    if request.member_of:
        wanted = provider_aggregates.c.aggregate_id.in_(list(request.member_of))
        query = query.where(_among(provider_aggregates, wanted))
    rows, more = page(connection, query, [providers.c.created_at, providers.c.id], request, caller)
    return [row.id for row in rows], more


def _among(table: Any, condition: Any) -> Any:
    return exists().where(table.c.provider_id == providers.c.id, condition)


def _has_room(resource_class: str, amount: int) -> Any:
    own = (
        allocations.c.provider_id == inventories.c.provider_id,
        allocations.c.resource_class == resource_class,
    )
    used = select(func.coalesce(func.sum(allocations.c.amount), 0)).where(*own).scalar_subquery()
    return exists().where(
        inventories.c.provider_id == providers.c.id,
        inventories.c.resource_class == resource_class,
        inventories.c.capacity - used >= amount,
        inventories.c.min_unit <= amount,
        inventories.c.max_unit >= amount,
        amount % inventories.c.step_size == 0,
    )
