"""What identity tells every process of its own accord, beside which tokens hold no longer."""

from dataclasses import dataclass


@dataclass(slots=True)
class News:
    """What one service of a process has heard.

    `following` is whether it hears of changes as they happen. `limits` grows whenever limits, or who shares
    them, may have changed: what was asked for before is to be asked for again.
    """

    following: bool = False
    limits: int = 0

    def caught_up(self) -> None:
        """From here on every change is heard; what was missed until now nobody knows."""
        if not self.following:
            self.limits += 1
        self.following = True
