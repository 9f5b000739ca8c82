"""What providers have left, read in the unit of work that is going to take of it."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, func, select

from services.placement.model import Inventory, Room
from services.placement.tables import allocations, inventories, providers

# Built once: every claim asks these.
_IDS = bindparam("ids", expanding=True)
_THERE = select(providers.c.id).where(providers.c.id.in_(_IDS))
_HELD = select(
    inventories.c.provider_id,
    inventories.c.resource_class,
    *(inventories.c[name] for name in Inventory.__dataclass_fields__),
).where(inventories.c.provider_id.in_(_IDS))
_KEYS = (allocations.c.provider_id, allocations.c.resource_class)
_USED = select(*_KEYS, func.sum(allocations.c.amount)).where(allocations.c.provider_id.in_(_IDS))
_USED = _USED.group_by(*_KEYS)


def read(connection: Connection, ids: Iterable[str]) -> Room:
    """The room of these providers."""
    asked = {"ids": sorted(set(ids))}
    held: dict[str, dict[str, Inventory]] = {id: {} for id in connection.scalars(_THERE, asked)}
    for id, name, *values in connection.execute(_HELD, asked):
        held[id][name] = Inventory(*values)
    used: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for id, name, amount in connection.execute(_USED, asked):
        used[id][name] = int(amount)
    return Room(held, used)
