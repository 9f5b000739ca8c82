"""Who has what: claims and changes that never give more than there is.

Units that write are alone in this database (see api/units), so what is read here holds until the commit.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from mesh import clock
from mesh.caller import Caller
from mesh.errors import CloudError
from mesh.paging import page
from mesh.prepared import Prepared
from services.placement.model import Amounts, Claim, Taken, Usage, generation_conflict
from services.placement.store import providers, room
from services.placement.tables import allocations, consumers

# What is said of a consumer, beside what it has.
_SAID = ("consumer_type", "project_id", "user_id", "operation_id")
_THIS, _ITS = consumers.c.id == bindparam("id"), allocations.c.consumer_id == bindparam("id")
_CONSUMER = Prepared(select(consumers).where(_THIS))
_NEW_CONSUMER = Prepared(insert(consumers), "id", *_SAID, "generation")
_ALLOCATE = Prepared(insert(allocations), "consumer_id", "provider_id", "resource_class", "amount")
_HAS = Prepared(select(allocations).where(_ITS))
_FREE, _FORGET = Prepared(delete(allocations).where(_ITS)), Prepared(delete(consumers).where(_THIS))


def get(connection: Connection, consumer_id: str) -> Claim | None:
    """What the consumer has; None when nothing."""
    row = _CONSUMER.one(connection, id=consumer_id)
    return _claims([row], _HAS.all(connection, id=consumer_id))[0] if row else None


def claim(connection: Connection, wanted: Claim, ways: Sequence[Amounts]) -> tuple[Claim, list[Taken]]:
    """Give the consumer the first of the ways that has room, or what its operation holds for it already; and
    what was taken for it.

    Raises CAPACITY_EXCEEDED when none has room, GENERATION_CONFLICT when the consumer has something else.
    """
    before = get(connection, wanted.consumer_id) or replace(wanted, generation=0, allocations={})
    if before.allocations and wanted.operation_id and before.operation_id == wanted.operation_id:
        return before, []
    _check_generation(wanted, before)
    way = _first_with_room(connection, ways, before.allocations)
    (after,), taken = _write_all(connection, [(replace(wanted, allocations=way), before)])
    return after, taken


def _first_with_room(connection: Connection, ways: Sequence[Amounts], before: Amounts) -> Amounts:
    """The others are looked at only where the first, which mostly does, has no room."""
    refusals = []
    for some in filter(None, (ways[:1], ways[1:])):
        left = room.read(connection, {id for way in some for id in way})
        left.add(before, -1)
        for way in some:
            try:
                left.check(way, before)
            except CloudError as error:
                refusals.append(error)
            else:
                return way
    raise next((each for each in refusals if each.reason == "CAPACITY_EXCEEDED"), refusals[0])


def put(connection: Connection, wanted: Sequence[Claim], *, force: bool) -> list[Claim]:
    """Replace what these consumers have, all or none. Raises GENERATION_CONFLICT unless `force`."""
    nothing = [replace(each, generation=0, allocations={}) for each in wanted]
    before = [get(connection, each.consumer_id) or none for each, none in zip(wanted, nothing, strict=True)]
    changes = list(zip(wanted, before, strict=True))
    left = room.read(connection, _touched(changes))
    for each, had in changes:
        if not force:
            _check_generation(each, had)
        left.add(had.allocations, -1)
    for each, had in changes:
        left.check(each.allocations, had.allocations)
        left.add(each.allocations)
    return _write_all(connection, changes)[0]


def remove(connection: Connection, consumer_id: str, operation_id: str) -> list[Taken]:
    """Take everything from the consumer, if it has it (and, where one is named, by that operation); what that
    was.
    """
    before = get(connection, consumer_id)
    if before is None or operation_id not in ("", before.operation_id):
        return []
    return _write_all(connection, [(replace(before, allocations={}), before)])[1]


def of_provider(
    connection: Connection, provider_id: str, request: Any, caller: Caller
) -> tuple[list[Claim], str]:
    """A page of the consumers of a provider, with what they have of it. Raises NOT_FOUND."""
    providers.get(connection, provider_id)
    mine = select(allocations.c.consumer_id).where(allocations.c.provider_id == provider_id)
    query = select(consumers).where(consumers.c.id.in_(mine))
    rows, more = page(connection, query, [consumers.c.id], request, caller)
    having = allocations.c.consumer_id.in_([row.id for row in rows])
    held = select(allocations).where(allocations.c.provider_id == provider_id, having)
    return _claims(rows, connection.execute(held)), more


def usages(connection: Connection, project_id: str, user_id: str) -> list[Usage]:
    """How much of each class the consumers of the project, or of one user of it, have, by their type."""
    mine = [consumers.c.project_id == project_id]
    if user_id:
        mine.append(consumers.c.user_id == user_id)
    kind = consumers.c.consumer_type
    counts = connection.execute(select(kind, func.count()).where(*mine).group_by(kind))
    found = {name: Usage(name, count, {}) for name, count in sorted(counts)}
    query = select(kind, allocations.c.resource_class, func.sum(allocations.c.amount))
    query = query.join(consumers, consumers.c.id == allocations.c.consumer_id).where(*mine)
    for name, resource_class, total in connection.execute(query.group_by(kind, allocations.c.resource_class)):
        found[name].amounts[resource_class] = int(total)
    return list(found.values())


def _check_generation(wanted: Claim, before: Claim) -> None:
    if wanted.generation != before.generation:
        raise generation_conflict("consumer", wanted.consumer_id, wanted.generation, before.generation)


def _touched(changes: Sequence[tuple[Claim, Claim]]) -> set[str]:
    return {id for change in changes for each in change for id in each.allocations}


def _write_all(
    connection: Connection, changes: Sequence[tuple[Claim, Claim]]
) -> tuple[list[Claim], list[Taken]]:
    """Write what is wanted instead of what was before."""
    after = [_write(connection, wanted, before) for wanted, before in changes]
    revisions = providers.touch(connection, _touched(changes))
    return after, [Taken(revision, id, _more(id, changes)) for id, revision in revisions.items()]


def _more(provider_id: str, changes: Sequence[tuple[Claim, Claim]]) -> Counter[str]:
    """How much more of the provider there is in use after the changes, by class."""
    more: Counter[str] = Counter()
    for wanted, before in changes:
        more.update(wanted.allocations.get(provider_id, {}))
        more.subtract(before.allocations.get(provider_id, {}))
    return more


def _write(connection: Connection, wanted: Claim, before: Claim) -> Claim:
    id = wanted.consumer_id
    if before.allocations:
        _FREE.run(connection, id=id)
    rows = [
        {"consumer_id": id, "provider_id": provider_id, "resource_class": name, "amount": amount}
        for provider_id, resources in wanted.allocations.items()
        for name, amount in resources.items()
    ]
    if not rows:
        _FORGET.run(connection, id=id)
        return replace(wanted, generation=0)
    after = replace(wanted, generation=before.generation + 1)
    values = {name: getattr(after, name) for name in (*_SAID, "generation")}
    if before.generation:
        values["updated_at"] = clock.now()
        connection.execute(update(consumers).where(consumers.c.id == id).values(values))
    else:
        _NEW_CONSUMER.run(connection, id=id, **values)
    _ALLOCATE.run_each(connection, rows)
    return after


def _claims(rows: Sequence[Row[Any]], amounts: Iterable[Row[Any]]) -> list[Claim]:
    """Consumers, with these amounts of theirs."""
    held: dict[str, defaultdict[str, dict[str, int]]] = {row.id: defaultdict(dict) for row in rows}
    for each in amounts:
        held[each.consumer_id][each.provider_id][each.resource_class] = each.amount
    return [
        Claim(consumer_id=row.id, generation=row.generation, allocations=dict(held[row.id]), **_named(row))
        for row in rows
    ]


def _named(row: Row[Any]) -> dict[str, str]:
    return {name: row._mapping[name] for name in _SAID}
