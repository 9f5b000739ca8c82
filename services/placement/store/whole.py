"""Providers with all that belongs to them, read a few statements at a time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, select

from mesh import outbox
from mesh.errors import not_found
from mesh.prepared import Prepared
from mesh.tables import events
from services.placement.model import Inventory, Provider
from services.placement.store.providers import EVENT
from services.placement.tables import (
    allocations,
    inventories,
    provider_aggregates,
    provider_traits,
    providers,
)

# SQLite takes some thirty thousand parameters in a statement; fewer make shorter ones.
_AT_ONCE = 500
_CHANGED = Prepared(
    select(events.c.resource_id)
    .where(events.c.revision > bindparam("revision"), events.c.resource_type == EVENT)
    .distinct()
)


class _Part:
    """A query of what belongs to providers: for all of them, and for some."""

    def __init__(self, query: Select[Any], owner: ColumnElement[str]) -> None:
        self.all = Prepared(query)
        self.some = Prepared(query.where(owner.in_(bindparam("ids", expanding=True))))


def _marks(owner: ColumnElement[str], name: ColumnElement[str]) -> _Part:
    return _Part(select(owner, name.label("name")), owner)


_KEYS = (allocations.c.provider_id, allocations.c.resource_class)
_PROVIDERS = _Part(select(providers), providers.c.id)
_INVENTORIES = _Part(select(inventories), inventories.c.provider_id)
_USAGE = _Part(select(*_KEYS, func.sum(allocations.c.amount).label("amount")).group_by(*_KEYS), _KEYS[0])
_TRAITS = _marks(provider_traits.c.provider_id, provider_traits.c.trait)
_AGGREGATES = _marks(provider_aggregates.c.provider_id, provider_aggregates.c.aggregate_id)


def get(connection: Connection, id: str) -> Provider:
    """One provider. Raises NOT_FOUND."""
    found = load(connection, [id])
    if not found:
        raise not_found("provider", id)
    return found[0]


def load(connection: Connection, ids: Sequence[str] | None = None) -> list[Provider]:
    """The providers of these ids that there are, in that order; all without ids."""
    if ids is None:
        return _load(connection, None)
    found = {}
    for start in range(0, len(ids), _AT_ONCE):
        found.update({each.id: each for each in _load(connection, ids[start : start + _AT_ONCE])})
    return [found[id] for id in ids if id in found]


def since(connection: Connection, revision: int | None) -> tuple[int, list[str] | None, list[Provider]]:
    """The newest revision, ids of the providers that changed since `revision`, and those still there.

    None for the ids means that all are answered: at first, or when the events are no longer kept.
    """
    latest = outbox.latest(connection)
    if latest == revision:
        return latest, [], []
    if revision is None or revision + 1 < outbox.oldest(connection):
        return latest, None, load(connection)
    ids = sorted(id for (id,) in _CHANGED.all(connection, revision=revision))
    return latest, ids, load(connection, ids)


def _load(connection: Connection, ids: Sequence[str] | None) -> list[Provider]:
    def rows(of: _Part) -> Iterable[Row[Any]]:
        return of.all.all(connection) if ids is None else of.some.all(connection, ids=ids)

    held: defaultdict[str, dict[str, Inventory]] = defaultdict(dict)
    for row in rows(_INVENTORIES):
        held[row.provider_id][row.resource_class] = _inventory(row)
    used: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in rows(_USAGE):
        used[row.provider_id][row.resource_class] = int(row.amount)
    marks: list[defaultdict[str, set[str]]] = []
    for of in (_TRAITS, _AGGREGATES):
        found: defaultdict[str, set[str]] = defaultdict(set)
        for row in rows(of):
            found[row.provider_id].add(row.name)
        marks.append(found)
    return [
        _provider(row, held[row.id], used[row.id], *(found[row.id] for found in marks))
        for row in rows(_PROVIDERS)
    ]


def _inventory(row: Row[Any]) -> Inventory:
    return Inventory(
        row.total,
        row.reserved,
        row.min_unit,
        row.max_unit,
        row.step_size,
        row.allocation_ratio,
        row.capacity,
    )


def _provider(
    row: Row[Any],
    held: dict[str, Inventory],
    used: dict[str, int],
    traits: set[str],
    aggregates: set[str],
) -> Provider:
    return Provider(
        id=row.id,
        name=row.name,
        parent_id=row.parent_id or "",
        root_id=row.root_id,
        generation=row.generation,
        created_at=row.created_at,
        updated_at=row.updated_at,
        inventories=held,
        used=used,
        traits=frozenset(traits),
        aggregates=frozenset(aggregates),
    )
