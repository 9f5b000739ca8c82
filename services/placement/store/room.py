"""What providers have left, read in the unit of work that is going to take of it."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, func, select

from mesh.prepared import Prepared
from services.placement.model import Inventory, Room
from services.placement.tables import allocations, inventories, providers

# Every claim asks these.
_IDS = bindparam("ids", expanding=True)
_THERE = Prepared(select(providers.c.id).where(providers.c.id.in_(_IDS)))
_HELD = Prepared(
    select(
        inventories.c.provider_id,
        inventories.c.resource_class,
        *(inventories.c[name] for name in Inventory.__dataclass_fields__),
    ).where(inventories.c.provider_id.in_(_IDS))
)
_KEYS = (allocations.c.provider_id, allocations.c.resource_class)
_USED = select(*_KEYS, func.sum(allocations.c.amount)).where(allocations.c.provider_id.in_(_IDS))
_USED = Prepared(_USED.group_by(*_KEYS))


def read(connection: Connection, ids: Iterable[str]) -> Room:
    """The room of these providers."""
    asked = sorted(set(ids))
    held: dict[str, dict[str, Inventory]] = {id: {} for (id,) in _THERE.all(connection, ids=asked)}
    for id, name, *values in _HELD.all(connection, ids=asked):
        held[id][name] = Inventory(*values)
    used: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for id, name, amount in _USED.all(connection, ids=asked):
        used[id][name] = int(amount)
    return Room(held, used)
