"""What providers have left, read in the unit of work that is going to take of it."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from services.placement.model import Inventory, Room
from services.placement.tables import allocations, inventories, providers


def read(connection: Connection, ids: Iterable[str]) -> Room:
    """The room of these providers."""
    wanted = sorted(set(ids))
    there = select(providers.c.id).where(providers.c.id.in_(wanted))
    held: dict[str, dict[str, Inventory]] = {id: {} for id in connection.scalars(there)}
    columns = [inventories.c[name] for name in Inventory.__dataclass_fields__]
    query = select(inventories.c.provider_id, inventories.c.resource_class, *columns)
    for id, name, *values in connection.execute(query.where(inventories.c.provider_id.in_(wanted))):
        held[id][name] = Inventory(*values)
    used: defaultdict[str, dict[str, int]] = defaultdict(dict)
    keys = (allocations.c.provider_id, allocations.c.resource_class)
    sums = select(*keys, func.sum(allocations.c.amount)).where(allocations.c.provider_id.in_(wanted))
    for id, name, amount in connection.execute(sums.group_by(*keys)):
        used[id][name] = int(amount)
    return Room(held, used)
