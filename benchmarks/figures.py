"""A figure: what was measured, how often, what it came to, and what it should be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """What the median should be: at most `limit`, or `at_least` it."""

    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether it is."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True)
class Figure:
    """`samples` are in `unit`; `cpu_ms` is the processors' time that one operation took, by process.

    A unit that ends in "/s" counts for more, every other for less.
    """

    benchmark: str
    name: str
    unit: str
    samples: Sequence[float]
    goal: Goal | None = None
    cpu_ms: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"{self.benchmark}/{self.name} was measured not once")

    @property
    def median(self) -> float:
        """What it is compared by."""
        return median(self.samples)

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
            "met": self.goal.met(self.median) if self.goal else None,
            "cpu_ms": dict(self.cpu_ms),
            "note": self.note,
        }
