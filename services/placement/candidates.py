"""Where something could go: every provider in memory as columns of numbers, so that a question takes
microseconds whatever the number of hosts.

A row is a provider. What a class leaves room for is an array over all rows, a trait or an aggregate a mask.
The view is only as new as the last change that it was told of: what it answers is claimed in the database.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from services.placement.columns import Amounts, Marks, Mask, grown
from services.placement.model import Group, Provider
from services.placement.trees import assignments

_FIRST_ROWS = 64


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way: amounts by provider and class, all in the tree of `root`."""

    root: Provider
    allocations: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Found:
    """The ways, the providers in them, and how many roots each requirement removed, in order.

    Where one group was asked for, each of the providers could have what `alone` says, and there is no other
    way; where several were, `alone` is None and the ways are those `together`.
    """

    providers: list[Provider]
    removals: list[tuple[str, int]]
    alone: Mapping[str, int] | None = None
    together: Sequence[Candidate] = ()

    @property
    def candidates(self) -> Sequence[Candidate]:
        """Each way by itself."""
        if self.alone is None:
            return self.together
        return [Candidate(root, {root.id: self.alone} if self.alone else {}) for root in self.providers]


class Candidates:
    """The view. To be used on one thread."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._providers: list[Provider | None] = []
        self._free: list[int] = []
        self._trees: dict[str, set[int]] = {}
        self._amounts, self._traits, self._aggregates = Amounts(), Marks(), Marks()
        self._roots, self._there = np.zeros(0, bool), np.zeros(0, bool)
        self._root_rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, provider: Provider) -> None:
        """Know this provider as it is now."""
        row = self._rows.get(provider.id)
        if row is None or self._at(row).root_id != provider.root_id:
            self._root_rows = None
        if row is None:
            row = self._free.pop() if self._free else self._new_row()
        else:
            self._clear(row)
        self._rows[provider.id] = row
        self._providers[row] = provider
        self._trees.setdefault(provider.root_id, set()).add(row)
        self._roots[row] = provider.root_id == provider.id
        self._there[row] = True
        self._amounts.set(row, provider)
        self._traits.set(row, provider.traits)
        self._aggregates.set(row, provider.aggregates)

    def drop(self, id: str) -> None:
        """Know this provider no longer."""
        row = self._rows.pop(id, None)
        if row is not None:
            self._root_rows = None
            self._clear(row)
            self._providers[row] = None
            self._free.append(row)

    def use(self, id: str, more: Mapping[str, int]) -> None:
        """So much more of a provider is in use, by class; one that is not known is let be."""
        row = self._rows.get(id)
        if row is None:
            return
        before = self._at(row)
        used = dict(before.used)
        for name, amount in more.items():
            used[name] = used.get(name, 0) + amount
        self._providers[row] = after = replace(before, used=used, generation=before.generation + 1)
        self._amounts.clear(row, before)
        self._amounts.set(row, after)

    def _clear(self, row: int) -> None:
        provider = self._at(row)
        self._trees[provider.root_id].discard(row)
        if not self._trees[provider.root_id]:
            del self._trees[provider.root_id]
        self._roots[row] = self._there[row] = False
        self._amounts.clear(row, provider)
        self._traits.clear(row, provider.traits)
        self._aggregates.clear(row, provider.aggregates)

    def _at(self, row: int) -> Provider:
        provider = self._providers[row]
        assert provider is not None
        return provider

    def _new_row(self) -> int:
        row = len(self._providers)
        self._providers.append(None)
        if row == len(self._roots):
            size = max(_FIRST_ROWS, 2 * row)
            for held in (self._amounts, self._traits, self._aggregates):
                held.grow(size)
            self._roots, self._there = grown(self._roots, size, False), grown(self._there, size, False)
        return row

    def find(self, groups: Sequence[Group], *, share: bool, exclude: Sequence[str], limit: int) -> Found:
        """At most `limit` ways to satisfy the first group by a root and the others in its tree."""
        roots = self._roots.copy()
        removals = [("hosts", int(np.count_nonzero(roots)))]
        for label, holds in self._excluded(exclude):
            _narrow(roots, label, holds, removals)
        for label, holds in self._requirements(groups[0]):
            _narrow(roots, label, holds, removals)
        if len(groups) == 1:
            return self._alone(groups[0], roots, limit, removals)
        parts = [self._parts(number, group, roots, removals) for number, group in enumerate(groups[1:], 2)]
        return self._together(groups, parts, roots, share, limit, removals)

    def _excluded(self, ids: Sequence[str]) -> Iterator[tuple[str, Mask]]:
        if ids:
            wanted = np.ones(len(self._roots), bool)
            wanted[[self._rows[id] for id in ids if id in self._rows]] = False
            yield "excluded", wanted

    def _requirements(self, group: Group) -> Iterator[tuple[str, Mask]]:
        """Each requirement by its name, with the rows of which it holds."""
        if group.in_tree:
            yield "in_tree", self._in_tree(group.in_tree)
        for trait in group.required:
            yield f"trait:{trait}", self._traits.with_any([trait])
        for trait in group.forbidden:
            yield f"forbidden:{trait}", ~self._traits.with_any([trait])
        if group.member_of:
            yield "member_of", self._aggregates.with_any(group.member_of)
        if group.not_member_of:
            yield "not_member_of", ~self._aggregates.with_any(group.not_member_of)
        for name, amount in group.resources.items():
            yield name, self._amounts.fits(name, amount)

    def _in_tree(self, id: str) -> Mask:
        found = np.zeros(len(self._roots), bool)
        if id in self._rows:
            found[list(self._trees[self._at(self._rows[id]).root_id])] = True
        return found

    def _alone(self, group: Group, roots: Mask, limit: int, removals: list[tuple[str, int]]) -> Found:
        some = map(self._providers.__getitem__, _some(np.flatnonzero(roots), limit))
        found = [provider for provider in some if provider is not None]
        return Found(found, removals, alone=group.resources)

    def _parts(self, number: int, group: Group, roots: Mask, removals: list[tuple[str, int]]) -> Mask:
        """The rows that satisfy a further group; roots without one in their tree are removed."""
        rows, root_of = self._there.copy(), self._root_of()
        for label, holds in self._requirements(group):
            rows &= holds
            has_one = np.zeros(len(roots), bool)
            has_one[root_of[rows]] = True
            _narrow(roots, f"group {number} {label}", has_one, removals)
        return rows

    def _root_of(self) -> NDArray[np.int64]:
        """For each row the row of its root, made anew when trees have changed."""
        if self._root_rows is None:
            self._root_rows = np.zeros(len(self._roots), np.int64)
            for root_id, rows in self._trees.items():
                self._root_rows[list(rows)] = self._rows.get(root_id, 0)
        return self._root_rows

    def _together(
        self,
        groups: Sequence[Group],
        parts: Sequence[Mask],
        roots: Mask,
        share: bool,
        limit: int,
        removals: list[tuple[str, int]],
    ) -> Found:
        ways: list[Candidate] = []
        providers: dict[str, Provider] = {}
        without = 0
        for row in _some(np.flatnonzero(roots), len(self._roots)):
            root = self._at(row)
            tree = {each: self._at(each) for each in sorted(self._trees[root.id])}
            choices = [[root], *([p for each, p in tree.items() if part[each]] for part in parts)]
            found = list(islice(assignments(groups, choices, share=share), limit - len(ways)))
            without += not found
            ways += [Candidate(root, each) for each in found]
            named = {root.id} | {id for each in found for id in each}
            providers.update({p.id: p for p in tree.values() if found and p.id in named})
            if len(ways) == limit:
                break
        return Found(list(providers.values()), [*removals, ("together", without)], together=ways)


def _narrow(rows: Mask, label: str, holds: Mask, removals: list[tuple[str, int]]) -> None:
    before = np.count_nonzero(rows)
    rows &= holds
    removals.append((label, int(before - np.count_nonzero(rows))))


def _some(rows: NDArray[np.int64], limit: int) -> Iterable[int]:
    """At most `limit` of the rows, from anywhere: not always the same hosts."""
    if len(rows) <= limit:
        return rows.tolist()
    start = random.randrange(len(rows))
    return np.roll(rows, -start)[:limit].tolist()
