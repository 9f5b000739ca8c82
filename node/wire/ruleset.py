"""nftables rules as values, and the commands that turn one ruleset into another in one transaction.

A rule in the kernel cannot be changed, only replaced, and comes back from it in another form than it was
given. So each carries the digest of its text as its comment: two chains are equal when their digests are.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


def digest(rule: str) -> str:
    """The mark by which an installed rule is known again."""
    return hashlib.sha256(rule.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Hook:
    """Where the kernel enters a chain; the policy is accept."""

    type: str
    point: str
    priority: int

    def __str__(self) -> str:
        return f"{{ type {self.type} hook {self.point} priority {self.priority}; policy accept; }}"


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order. `texts` is empty in what was read from the kernel."""

    digests: tuple[str, ...]
    hook: Hook | None = None
    texts: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, *rules: str, hook: Hook | None = None) -> "Chain":
        """A chain to be installed."""
        return cls(tuple(digest(rule) for rule in rules), hook, rules)


@dataclass(frozen=True, slots=True)
class Elements:
    """A set, or with `is_map` a map of `key : value` elements. `spec` is its type as nft takes it."""

    elements: frozenset[str]
    is_map: bool = False
    spec: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A table's chains and sets by name."""

    chains: Mapping[str, Chain]
    sets: Mapping[str, Elements] = field(default_factory=dict)


Ruleset = Mapping[str, Table]
"""Tables by family and name, e.g. `inet weft`."""


def changes(have: Ruleset, want: Ruleset, *, anew: bool = False) -> list[str]:
    """Commands that make `have` into `want`; none when they are equal. To be run as one transaction.

    `anew` trusts nothing of `have`: as types of sets are not compared, another version may have made it.
    """
    commands: list[str] = []
    for name in have.keys() - want.keys():
        commands.append(f"delete table {name}")
    for name, table in want.items():
        present = have.get(name)
        if present is not None and (anew or not _compatible(present, table)):
            commands.append(f"delete table {name}")
            present = None
        commands += _table(name, present, table)
    return commands


def _compatible(have: Table, want: Table) -> bool:
    hooks = all(have.chains[name].hook == want.chains[name].hook for name in have.chains.keys() & want.chains)
    return hooks and all(
        have.sets[name].is_map == want.sets[name].is_map for name in have.sets.keys() & want.sets
    )


def _table(name: str, have: Table | None, want: Table) -> Iterator[str]:
    if have is None:
        yield f"add table {name}"
        have = Table({}, {})
    yield from _declare(name, have, want)
    yield from _remove_elements(name, have, want)
    stale = [c for c in have.chains if c not in want.chains or have.chains[c] != want.chains[c]]
    yield from (f"flush chain {name} {chain}" for chain in stale)
    yield from _add_elements(name, have, want)
    for chain, rules in want.chains.items():
        if chain not in have.chains or chain in stale:
            yield from (f'add rule {name} {chain} {rule} comment "{digest(rule)}"' for rule in rules.texts)
    yield from (f"delete chain {name} {chain}" for chain in have.chains if chain not in want.chains)
    for set_name, elements in have.sets.items():
        if set_name not in want.sets:
            yield f"delete {_kind(elements)} {name} {set_name}"


def _declare(name: str, have: Table, want: Table) -> Iterator[str]:
    for set_name, elements in want.sets.items():
        if set_name not in have.sets:
            yield f"add {_kind(elements)} {name} {set_name} {{ {elements.spec} }}"
    for chain, rules in want.chains.items():
        if chain not in have.chains:
            yield f"add chain {name} {chain} {rules.hook or ''}".rstrip()


def _remove_elements(name: str, have: Table, want: Table) -> Iterator[str]:
    for set_name, elements in have.sets.items():
        wanted = want.sets[set_name].elements if set_name in want.sets else frozenset()
        gone = (_key(e) if elements.is_map else e for e in elements.elements - wanted)
        yield from _elements("delete", name, set_name, gone)


def _add_elements(name: str, have: Table, want: Table) -> Iterator[str]:
    for set_name, elements in want.sets.items():
        present = have.sets[set_name].elements if set_name in have.sets else frozenset()
        yield from _elements("add", name, set_name, elements.elements - present)


def _elements(verb: str, table: str, set_name: str, elements: Iterable[str]) -> Iterator[str]:
    listed = ", ".join(sorted(elements))
    if listed:
        yield f"{verb} element {table} {set_name} {{ {listed} }}"


def _kind(elements: Elements) -> str:
    return "map" if elements.is_map else "set"


def _key(element: str) -> str:
    return element.partition(" : ")[0]
