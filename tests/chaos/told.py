"""What callers were told: of each thing that was asked for, what must, may or must not be there."""

import time
from dataclasses import dataclass, field
from enum import Enum


class Presence(Enum):
    """MAYBE: asked for, or asked to be gone, and nobody has said that it is done."""

    MAYBE = "may be there"
    THERE = "there"
    GONE = "gone"


@dataclass
class Thing:
    """One server, volume, port, floating IP or image. Its name is one of a kind; `id` is empty until told.

    `status` is what it must rest in, "" where nobody knows. A volume's `holder` is the server that must have
    it, a floating IP's the port; None where nobody knows. `since` (monotonic) says how long they do not. An
    ACTIVE image has the content `sha256`, "" where that is not known.
    """

    kind: str
    name: str
    project_id: str
    id: str = ""
    presence: Presence = Presence.MAYBE
    status: str = ""
    holder: str | None = ""
    port_id: str = ""
    sha256: str = ""
    since: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether it is known to be there."""
        return self.presence is Presence.THERE

    def unsure(self) -> None:
        """Something may be under way on it."""
        self.status, self.holder, self.since = "", None, time.monotonic()

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.id or '(no id)'}"


@dataclass
class Told:
    """All things of all callers, and what was said that cannot be."""

    things: list[Thing] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)

    def asked(self, kind: str, name: str, project_id: str) -> Thing:
        """Somebody asks for a new thing."""
        thing = Thing(kind, name, project_id)
        self.things.append(thing)
        return thing

    def contradiction(self, sentence: str) -> None:
        """A caller was told two things that cannot both be."""
        self.contradictions.append(sentence)

    def of(self, kind: str) -> list[Thing]:
        """All things of a kind."""
        return [thing for thing in self.things if thing.kind == kind]
