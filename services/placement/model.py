"""The values of placement, and when an amount fits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from mesh.errors import CloudError, invalid, not_found

# What a column holds, with room for sums of it: a ratio may be as large as anybody likes.
_MOST = 2**53


@dataclass(frozen=True, slots=True)
class Inventory:
    """How much of one class a provider has; amounts are in the class's unit."""

    total: int
    reserved: int
    min_unit: int
    max_unit: int
    step_size: int
    allocation_ratio: float
    capacity: int

    @classmethod
    def of(
        cls, total: int, reserved: int, min_unit: int, max_unit: int, step_size: int, allocation_ratio: float
    ) -> "Inventory":
        """With what is left at 0 filled in. Raises INVALID_ARGUMENT where the numbers do not go together."""
        min_unit, max_unit, step_size = min_unit or 1, max_unit or total, step_size or 1
        ratio = allocation_ratio or 1.0
        if reserved > total:
            raise invalid("reserved", f"{reserved} is more than the total of {total}")
        if min_unit > max_unit:
            raise invalid("min_unit", f"{min_unit} is more than max_unit, {max_unit}")
        capacity = min(int((total - reserved) * ratio), _MOST)
        return cls(total, reserved, min_unit, max_unit, step_size, ratio, capacity)

    def takes(self, amount: int) -> bool:
        """Whether one allocation may have this amount, if there is room for it."""
        return self.min_unit <= amount <= self.max_unit and amount % self.step_size == 0


@dataclass(frozen=True, eq=False)
class Provider:
    """Something that has resources, with all that belongs to it. Two are the same only if they are one.

    `kept`: what is made of it for answers, by name. It is never another: what changes is a new Provider.
    """

    id: str
    name: str
    parent_id: str
    root_id: str
    generation: int
    created_at: datetime
    updated_at: datetime
    inventories: Mapping[str, Inventory] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()
    kept: dict[str, bytes] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def room(self) -> Mapping[str, int]:
        """The largest amount of each class that one allocation could have now."""
        return {
            name: min(inventory.capacity - self.used.get(name, 0), inventory.max_unit)
            for name, inventory in self.inventories.items()
        }


@dataclass(frozen=True, slots=True)
class Group:
    """What one provider must have together."""

    resources: Mapping[str, int]
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    member_of: tuple[str, ...] = ()
    not_member_of: tuple[str, ...] = ()
    in_tree: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is to have what: amounts by class, by provider."""

    consumer_id: str
    consumer_type: str
    project_id: str
    user_id: str
    operation_id: str
    generation: int
    allocations: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Usage:
    """How many consumers there are of one type, and how much they have of each class."""

    consumer_type: str
    consumers: int
    amounts: dict[str, int]


Amounts = Mapping[str, Mapping[str, int]]  # by provider and class


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken of a provider, by class (below zero: given back), and the revision at which it was."""

    revision: int
    provider_id: str
    amounts: Mapping[str, int]


class Room:
    """What some providers have left, while allocations are tried on paper."""

    def __init__(
        self, inventories: Mapping[str, Mapping[str, Inventory]], used: Mapping[str, Mapping[str, int]]
    ) -> None:
        self._inventories = inventories
        self._used = {id: dict(amounts) for id, amounts in used.items()}

    def add(self, amounts: Amounts, sign: int = 1) -> None:
        """Count the amounts as used; with sign -1, give them back."""
        for id, resources in amounts.items():
            used = self._used.setdefault(id, {})
            for name, amount in resources.items():
                used[name] = used.get(name, 0) + sign * amount

    def check(self, amounts: Amounts, before: Amounts) -> None:
        """Raises CAPACITY_EXCEEDED or NOT_FOUND when the amounts cannot be had.

        What the consumer had `before` (and has given back) it may have again, or less of it, even where the
        capacity has shrunk meanwhile.
        """
        for id, resources in amounts.items():
            if id not in self._inventories:
                raise not_found("provider", id)
            for name, amount in resources.items():
                self._check(id, name, amount, before.get(id, {}).get(name, 0))

    def _check(self, id: str, name: str, amount: int, before: int) -> None:
        inventory = self._inventories[id].get(name)
        if inventory is None:
            raise no_room(id, name, amount, 0)
        free = inventory.capacity - self._used.get(id, {}).get(name, 0)
        if not inventory.takes(amount) or (amount > free and amount > before):
            raise no_room(id, name, amount, free)


def no_room(provider_id: str, resource_class: str, requested: int, free: int) -> CloudError:
    """CAPACITY_EXCEEDED."""
    message = (
        f"The provider {provider_id} has {max(free, 0)} {resource_class} left: "
        f"{requested} cannot be had in one allocation."
    )
    return CloudError(
        "CAPACITY_EXCEEDED",
        message,
        provider_id=provider_id,
        resource_class=resource_class,
        requested=requested,
        free=max(free, 0),
    )


def generation_conflict(kind: str, id: str, expected: int, actual: int) -> CloudError:
    """GENERATION_CONFLICT."""
    message = f"The {kind} {id} is at generation {actual}, not {expected}: read it again."
    return CloudError("GENERATION_CONFLICT", message, provider_id=id, expected=expected, actual=actual)
