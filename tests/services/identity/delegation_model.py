"""What the property test of delegation knows by itself: who handed on what, and what has happened since."""

from dataclasses import dataclass, field
from datetime import datetime

from services.identity.model import closure
from services.identity.store.chains import Kind


@dataclass
class Link:
    """A delegation, as the model knows it."""

    id: str
    kind: Kind
    owner: str
    trustee: str
    impersonate: bool
    roles: frozenset[str]
    ends: datetime | None
    parent: "Link | None"
    unrestricted: bool
    redelegation: int

    def chain(self) -> list["Link"]:
        """From the first to this one."""
        return [*(self.parent.chain() if self.parent else []), self]

    def people(self) -> set[str]:
        """Everybody in the chain."""
        return {id for link in self.chain() for id in (link.owner, link.trustee) if id}


@dataclass
class Facts:
    """What is so, by the model."""

    given: set[tuple[str, str]] = field(default_factory=set)  # role, and "direct" or "group"
    in_group: bool = True
    off: set[str] = field(default_factory=set)  # ids of users, projects, domains that are disabled
    gone: set[str] = field(default_factory=set)  # ids of what was deleted
    passwords: dict[str, datetime] = field(default_factory=dict)

    def held(self) -> frozenset[str]:
        """The owner's roles on the project."""
        return closure(role for role, way in self.given if way == "direct" or self.in_group)
