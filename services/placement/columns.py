"""Columns over rows that grow: what each class leaves room for, and who bears a mark."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.placement.model import Inventory, Provider

Mask = NDArray[np.bool_]
# What a row holds of a class that its provider does not have: no amount fits.
_NOTHING = -1


def grown(column: NDArray[Any], size: int, fill: Any) -> NDArray[Any]:
    """The column with more rows."""
    return np.concatenate([column, np.full(size - len(column), fill, column.dtype)])


class Marks:
    """Which rows bear which names: traits, aggregates."""

    def __init__(self) -> None:
        self._size = 0
        self._masks: dict[str, Mask] = {}
        self._bearers: dict[str, int] = {}

    def grow(self, size: int) -> None:
        """Have so many rows."""
        self._masks = {name: grown(mask, size, False) for name, mask in self._masks.items()}
        self._size = size

    def set(self, row: int, names: Iterable[str]) -> None:
        """The row, which bore nothing, bears these names."""
        for name in names:
            if name not in self._masks:
                self._masks[name] = np.zeros(self._size, bool)
            self._masks[name][row] = True
            self._bearers[name] = self._bearers.get(name, 0) + 1

    def clear(self, row: int, names: Iterable[str]) -> None:
        """The row no longer bears these names; a name that nobody bears is forgotten."""
        for name in names:
            self._masks[name][row] = False
            self._bearers[name] -= 1
            if not self._bearers[name]:
                del self._masks[name], self._bearers[name]

    def with_any(self, names: Iterable[str]) -> Mask:
        """The rows that bear any of the names."""
        found = np.zeros(self._size, bool)
        for name in names:
            if name in self._masks:
                found |= self._masks[name]
        return found


class Amounts:
    """The largest amount of each class that one allocation could have of each row now."""

    def __init__(self) -> None:
        self._size = 0
        self._room: dict[str, NDArray[np.int64]] = {}
        # Only the few rows that give a class in larger steps than one by one.
        self._coarse: dict[str, dict[int, Inventory]] = {}

    def grow(self, size: int) -> None:
        """Have so many rows."""
        self._room = {name: grown(column, size, _NOTHING) for name, column in self._room.items()}
        self._size = size

    def set(self, row: int, provider: Provider) -> None:
        """The row, which had nothing, is this provider's."""
        for name, amount in provider.room.items():
            if name not in self._room:
                self._room[name] = np.full(self._size, _NOTHING, np.int64)
            self._room[name][row] = max(amount, 0)
            inventory = provider.inventories[name]
            if inventory.min_unit > 1 or inventory.step_size > 1:
                self._coarse.setdefault(name, {})[row] = inventory

    def clear(self, row: int, provider: Provider) -> None:
        """The row has nothing any more."""
        for name in provider.inventories:
            self._room[name][row] = _NOTHING
            self._coarse.get(name, {}).pop(row, None)

    def fits(self, name: str, amount: int) -> Mask:
        """The rows of which one allocation could have this amount of the class."""
        if name not in self._room:
            return np.zeros(self._size, bool)
        found = self._room[name] >= amount
        for row, inventory in self._coarse.get(name, {}).items():
            found[row] = found[row] and inventory.takes(amount)
        return found
