"""One resource's limits in trees of projects: who has one of its own, and what the others share. Pure.

A project with a limit of its own has it taken from the limit above it. One without shares what is left of
the next limit above, and may have the default of it at most; the topmost has the default when it has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh.errors import CloudError

NONE = -1


@dataclass(frozen=True, slots=True)
class LimitTree:
    """`parents` by project ("" above the topmost), limits of their `own` by project, and the `default`."""

    parents: Mapping[str, str]
    own: Mapping[str, int]
    default: int

    @property
    def top(self) -> str:
        """The topmost project of the one tree that this is about."""
        return next(each for each, parent in self.parents.items() if not parent)

    def owner(self, project_id: str) -> str:
        """Whose limit the project lives by: its own, the next above that is one's own, or the topmost's."""
        while project_id not in self.own and self.parents[project_id]:
            project_id = self.parents[project_id]
        return project_id

    def total(self, owner: str) -> int:
        """The whole limit of a project that lives by its own."""
        return self.own.get(owner, self.default)

    def reserved(self, owner: str) -> int:
        """What projects below have for themselves of it; NONE when one of them has no limit."""
        taken = [limit for each, limit in self.own.items() if self._above(each) == owner]
        return NONE if NONE in taken else sum(taken)

    def left(self, owner: str) -> int:
        """What the owner and those who share its limit may have together."""
        total = self.total(owner)
        return NONE if total == NONE else max(total - self.reserved(owner), 0)

    def ceiling(self, project_id: str) -> int:
        """What the project itself may have at most, projects below it with limits of their own included."""
        owner = self.owner(project_id)
        if owner == project_id:
            return self.total(owner)
        return min((limit for limit in (self.default, self.left(owner)) if limit != NONE), default=NONE)

    def sharing(self, owner: str) -> list[str]:
        """The owner, and all who live by its limit."""
        return [each for each in self.parents if self.owner(each) == owner]

    def refuse(self, project_id: str, resource: str) -> None:
        """Raises LIMIT_REFUSED when more is reserved of the project's limit, or the one above, than it is."""
        for owner in filter(None, (project_id, self._above(project_id))):
            total, reserved = self.total(owner), self.reserved(owner)
            if total != NONE and not 0 <= reserved <= total:
                raise _refused(owner, resource, total, reserved)

    def _above(self, project_id: str) -> str:
        parent = self.parents[project_id]
        return self.owner(parent) if parent else ""


def _refused(owner: str, resource: str, total: int, reserved: int) -> CloudError:
    taken = "no limit" if reserved == NONE else str(reserved)
    message = (
        f"The project {owner} has {total} {resource}; projects below it would have {taken} for themselves: "
        f"set a higher limit there, or lower ones below."
    )
    return CloudError(
        "LIMIT_REFUSED", message, project_id=owner, resource=resource, limit=total, reserved=reserved
    )
