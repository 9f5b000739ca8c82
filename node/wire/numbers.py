"""Small numbers for things that nftables marks: ports in packet marks, networks as conntrack zones."""

from collections.abc import Iterable, Mapping


class Numbers:
    """Gives each name a number from `first` to `last`, the same one as long as the name is kept.

    Numbers found in the kernel are adopted, so that a restart moves no connection to another zone.
    Raises OverflowError when there are more names than numbers.
    """

    def __init__(self, first: int, last: int) -> None:
        self._free = range(first, last + 1)
        self._given: dict[str, int] = {}

    def adopt(self, given: Mapping[str, int]) -> None:
        """Take over numbers given before, where they make sense."""
        for name, number in given.items():
            if number in self._free and number not in self._given.values():
                self._given.setdefault(name, number)

    def keep(self, names: Iterable[str]) -> Mapping[str, int]:
        """The numbers of exactly these names; those of others are free again."""
        wanted = dict.fromkeys(names)
        self._given = {name: number for name, number in self._given.items() if name in wanted}
        taken = set(self._given.values())
        unused = (number for number in self._free if number not in taken)
        for name in wanted:
            if name not in self._given:
                self._given[name] = self._next(unused)
        return dict(self._given)

    def _next(self, unused: Iterable[int]) -> int:
        for number in unused:
            return number
        raise OverflowError(f"all {len(self._free)} numbers are given")
