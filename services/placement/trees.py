"""Which parts of one tree could satisfy several groups together."""

from collections.abc import Iterator, Mapping, Sequence

from services.placement.model import Group, Provider

# Steps of the search in one tree, after which it is left: with many groups and parts there are more ways
# than anybody wants, and a tree without any would be searched for ever.
_STEPS = 2000
Amounts = dict[str, dict[str, int]]


def assignments(
    groups: Sequence[Group], choices: Sequence[Sequence[Provider]], *, share: bool
) -> Iterator[Amounts]:
    """Every way to give each group one of its choices, as amounts by provider and class.

    `choices` are the providers that satisfy each group by itself. With `share`, groups may meet on one
    provider if it has room for their sum; without, each takes another.
    """
    yield from _Search(groups, choices, share).run()


class _Search:
    def __init__(self, groups: Sequence[Group], choices: Sequence[Sequence[Provider]], share: bool) -> None:
        self._groups, self._choices, self._share = groups, choices, share
        self._taken: list[Provider] = []
        self._steps = 0

    def run(self) -> Iterator[Amounts]:
        depth = len(self._taken)
        if depth == len(self._groups):
            yield self._amounts()
            return
        for provider in self._choices[depth]:
            self._steps += 1
            if self._steps > _STEPS:
                return
            if self._share or provider not in self._taken:
                self._taken.append(provider)
                if self._fits(provider):
                    yield from self.run()
                self._taken.pop()

    def _fits(self, provider: Provider) -> bool:
        """Whether the provider has room for all that is on it now."""
        if self._taken.count(provider) == 1:
            return True
        together = self._amounts().get(provider.id, {})
        return fits(provider, together)

    def _amounts(self) -> Amounts:
        found: Amounts = {}
        for group, provider in zip(self._groups, self._taken, strict=False):
            for name, amount in group.resources.items():
                mine = found.setdefault(provider.id, {})
                mine[name] = mine.get(name, 0) + amount
        return found


def fits(provider: Provider, amounts: Mapping[str, int]) -> bool:
    """Whether one allocation of these amounts can be had of the provider now."""
    return all(
        name in provider.inventories
        and amount <= provider.room[name]
        and provider.inventories[name].takes(amount)
        for name, amount in amounts.items()
    )
