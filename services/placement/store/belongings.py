"""What belongs to a provider, always replaced as a whole: inventories, traits, aggregates."""

from collections.abc import Mapping, Set

from sqlalchemy import Connection, delete, insert, select

from services.placement.model import Inventory
from services.placement.store import names, providers, whole
from services.placement.store.names import in_use
from services.placement.tables import (
    allocations,
    inventories,
    provider_aggregates,
    provider_traits,
    resource_classes,
    traits,
)


def set_inventories(
    connection: Connection, id: str, generation: int, wanted: Mapping[str, Inventory]
) -> None:
    """Replace all inventories. Raises NOT_FOUND (also for a class), GENERATION_CONFLICT, IN_USE."""
    put_inventories(connection, id, generation, wanted)
    need_classes_in_use(connection, id, wanted)


def put_inventories(
    connection: Connection, id: str, generation: int, wanted: Mapping[str, Inventory]
) -> None:
    """The same, for who then sees to what is allocated of classes that are gone."""
    providers.get(connection, id, generation)
    names.need(connection, resource_classes, wanted)
    _replace_inventories(connection, id, wanted)
    providers.touch(connection, [id])


def need_classes_in_use(connection: Connection, id: str, wanted: Mapping[str, Inventory]) -> None:
    """Raises IN_USE where a class that is not among those wanted is allocated."""
    used = select(allocations.c.consumer_id).where(
        allocations.c.provider_id == id, allocations.c.resource_class.not_in(list(wanted))
    )
    consumer = connection.scalar(used.limit(1))
    if consumer:
        raise in_use("inventory", id, "consumer", consumer)


def _replace_inventories(connection: Connection, id: str, wanted: Mapping[str, Inventory]) -> None:
    connection.execute(delete(inventories).where(inventories.c.provider_id == id))
    fields = Inventory.__dataclass_fields__
    rows = [
        {"provider_id": id, "resource_class": name, **{key: getattr(held, key) for key in fields}}
        for name, held in wanted.items()
    ]
    if rows:
        connection.execute(insert(inventories), rows)


def set_traits(connection: Connection, id: str, generation: int, wanted: Set[str]) -> None:
    """Replace all traits. Raises NOT_FOUND (also for a trait), GENERATION_CONFLICT."""
    providers.get(connection, id, generation)
    names.need(connection, traits, wanted)
    _replace_traits(connection, id, wanted)
    providers.touch(connection, [id])


def _replace_traits(connection: Connection, id: str, wanted: Set[str]) -> None:
    connection.execute(delete(provider_traits).where(provider_traits.c.provider_id == id))
    if wanted:
        rows = [{"provider_id": id, "trait": name} for name in sorted(wanted)]
        connection.execute(insert(provider_traits), rows)


def set_aggregates(connection: Connection, id: str, generation: int, wanted: Set[str]) -> None:
    """Replace all aggregates. Raises NOT_FOUND, GENERATION_CONFLICT."""
    providers.get(connection, id, generation)
    connection.execute(delete(provider_aggregates).where(provider_aggregates.c.provider_id == id))
    if wanted:
        rows = [{"provider_id": id, "aggregate_id": name} for name in sorted(wanted)]
        connection.execute(insert(provider_aggregates), rows)
    providers.touch(connection, [id])


def sync(
    connection: Connection,
    id: str,
    name: str,
    parent_id: str,
    held: Mapping[str, Inventory],
    wanted_traits: Set[str],
) -> None:
    """Make the provider be so, or create it; nothing changes when it is so. Unknown names are made."""
    there = whole.load(connection, [id])
    if not there:
        providers.create(connection, id, name, parent_id)
        there = whole.load(connection, [id])
    before = there[0]
    if before.name != name or (parent_id and before.parent_id != parent_id):
        providers.change(connection, id, name, parent_id)
    if before.inventories == held and before.traits == wanted_traits:
        return
    names.make(connection, resource_classes, held)
    names.make(connection, traits, wanted_traits)
    need_classes_in_use(connection, id, held)
    _replace_inventories(connection, id, held)
    _replace_traits(connection, id, wanted_traits)
    providers.touch(connection, [id])
