"""What providers have left, read in the unit of work that is going to take of it."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, func, outerjoin, select

from mesh.prepared import Prepared
from services.placement.model import Inventory, Room
from services.placement.tables import allocations, inventories, providers

# Every claim asks this: of each provider and class what there is and what is used of it; of a provider
# without any its id alone.
_FIELDS = [inventories.c[name] for name in Inventory.__dataclass_fields__]
_USED = (
    select(func.coalesce(func.sum(allocations.c.amount), 0))
    .where(
        allocations.c.provider_id == inventories.c.provider_id,
        allocations.c.resource_class == inventories.c.resource_class,
    )
    .scalar_subquery()
)
_ROOM = Prepared(
    select(providers.c.id, inventories.c.resource_class, _USED.label("used"), *_FIELDS)
    .select_from(outerjoin(providers, inventories, inventories.c.provider_id == providers.c.id))
    .where(providers.c.id.in_(bindparam("ids", expanding=True)))
)


def read(connection: Connection, ids: Iterable[str]) -> Room:
    """The room of these providers."""
    held: defaultdict[str, dict[str, Inventory]] = defaultdict(dict)
    used: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for id, name, amount, *values in _ROOM.all(connection, ids=sorted(set(ids))):
        if name is None:
            held[id] = {}
        else:
            held[id][name], used[id][name] = Inventory(*values), int(amount)
    return Room(dict(held), used)
