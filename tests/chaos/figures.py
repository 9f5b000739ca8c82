"""What is counted, and how it is told at the end."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass
class Figures:
    """`operations` by what and how it ended, `trouble` by the reason that callers met, times in seconds."""

    calls: int = 0
    replays: int = 0
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    trouble: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    recoveries: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    takeovers: list[float] = field(default_factory=list)
    calms: int = 0
    restarts: int = 0

    def lines(self) -> list[str]:
        """A few lines for people."""
        return [
            f"calls answered {self.calls}, sent again on purpose {self.replays}, "
            f"troubles met {sum(self.trouble.values())}: {_counts(self.trouble)}",
            f"operations {sum(self.operations.values())}: "
            + _counts(Counter({" ".join(key): count for key, count in self.operations.items()})),
            f"faults {sum(self.faults.values())}: {_counts(self.faults)}",
            f"restarted by the supervisor {self.restarts}, calm points {self.calms}",
            f"time to recover, all: {spread([t for times in self.recoveries.values() for t in times])}",
            *(f"  after {kind}: {spread(times)}" for kind, times in sorted(self.recoveries.items())),
            f"takeover of a dead replica's operations: {spread(self.takeovers)}",
        ]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counter.most_common()) or "none"


def spread(times: list[float]) -> str:
    """How many, p50, p99 and the longest."""
    if not times:
        return "none measured"
    ordered = sorted(times)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
    return f"{len(ordered)} times, p50 {p50:.1f} s, p99 {p99:.1f} s, longest {ordered[-1]:.1f} s"
