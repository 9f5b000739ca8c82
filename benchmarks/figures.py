"""A figure: what was measured, how often, what it came to, and what it should be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.anchors import Anchor, anchors


@dataclass(frozen=True, slots=True)
class Goal:
    """What the sample that `share` of all lie below, by default the median, should be: at most `limit`, or
    `at_least` it.
    """

    limit: float
    at_least: bool = False
    share: float = 0.5

    def met(self, value: float) -> bool:
        """Whether it is."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        of = "" if self.share == 0.5 else f"p{self.share * 100:g} "
        return f"{of}{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True)
class Figure:
    """`samples` are in `unit`; `cpu_ms` is the processors' time that one operation took, `pss_mb` the
    memory (proportional set size) afterwards, by process.

    Of a unit that `counts_up` more is better, of every other less.
    """

    benchmark: str
    name: str
    unit: str
    samples: Sequence[float]
    goal: Goal | None = None
    cpu_ms: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    pss_mb: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"{self.benchmark}/{self.name} was measured not once")

    @property
    def median(self) -> float:
        """What it is compared by."""
        return median(self.samples)

    @property
    def met(self) -> bool | None:
        """Whether it is as it should be; None where nobody says how."""
        if self.goal is None:
            return None
        return self.goal.met(self.median if self.goal.share == 0.5 else self.at(self.goal.share))

    @property
    def anchor(self) -> Anchor | None:
        """OpenStack's, where it is known."""
        return anchors().get((self.benchmark, self.name))

    @property
    def ratio(self) -> float | None:
        """The median as a share of OpenStack's best, where that is known."""
        return self.anchor.ratio(self.median, more_is_better=counts_up(self.unit)) if self.anchor else None

    def at(self, share: float) -> float:
        """The sample that this share of all lies below."""
        ordered = sorted(self.samples)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def line(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "benchmark": self.benchmark,
            "figure": self.name,
            "unit": self.unit,
            "samples": len(self.samples),
            "min": min(self.samples),
            "p25": self.at(0.25),
            "median": self.median,
            "p75": self.at(0.75),
            "p99": self.at(0.99),
            "max": max(self.samples),
            "goal": str(self.goal) if self.goal else "",
            "met": self.met,
            "openstack": [self.anchor.low, self.anchor.high] if self.anchor else None,
            "ratio": self.ratio,
            "cpu_ms": dict(self.cpu_ms),
            "pss_mb": dict(self.pss_mb),
            "note": self.note,
        }


def counts_up(unit: str) -> bool:
    """Whether more of it is better: what is done in a second, and shares (`x`) of what could be."""
    return unit.endswith("/s") or unit == "x"
