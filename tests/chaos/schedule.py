"""What goes wrong, and when: all of it from the seed, so that a run can be had again."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos import cables
from tests.chaos.cloud import REPLICAS

# How often each kind is chosen.
WEIGHTS = {"kill": 30, "pause": 18, "end": 14, "cut": 20, "database": 8, "envoy": 6, "libvirtd": 4}
# Seconds between the beginnings of two faults, on average.
EVERY = 7.0
_LONGEST = {"kill": 8.0, "pause": 30.0, "end": 8.0, "cut": 40.0, "database": 10.0}


@dataclass(frozen=True)
class Fault:
    """At `at` seconds `kind` befalls `target` for `lasts` seconds; `how` says which way or which signal."""

    at: float
    kind: str
    target: str
    lasts: float
    how: str = ""

    def __str__(self) -> str:
        how = f" {self.how}" if self.how else ""
        return f"{self.at:7.1f} s  {self.kind} {self.target}{how} for {self.lasts:.1f} s"


def faults(seed: int, seconds: float, hosts: list[str], real: list[str]) -> list[Fault]:
    """All faults of a run of so many seconds."""
    rng = random.Random(seed)
    kinds = {kind: weight for kind, weight in WEIGHTS.items() if kind != "libvirtd" or real}
    return list(_faults(rng, seconds, kinds, hosts, real))


def _faults(
    rng: random.Random, seconds: float, kinds: dict[str, int], hosts: list[str], real: list[str]
) -> Iterator[Fault]:
    at = 2.0
    while at < seconds:
        kind = rng.choices(list(kinds), weights=list(kinds.values()))[0]
        yield Fault(at, kind, *_details(rng, kind, hosts, real))
        at += rng.expovariate(1 / EVERY)


def _details(rng: random.Random, kind: str, hosts: list[str], real: list[str]) -> tuple[str, float, str]:
    """The target, how long, and how. Long pauses are rare: most are over before anybody's lease is."""
    lasts = _LONGEST.get(kind, 0.0) * rng.random() ** 2
    if kind == "cut":
        way = rng.choice((cables.BOTH, cables.TO_HOST, cables.TO_CONTROL))
        return rng.choice(hosts), lasts, way
    if kind == "database":
        return "postgresql", lasts, rng.choice(("fast", "immediate"))
    if kind == "envoy":
        return "gateway", lasts, ""
    if kind == "libvirtd":
        return rng.choice(real), lasts, ""
    # Control is hit as often as all hosts together.
    weights = [3, 3, 1, *(6 / len(hosts) for _ in hosts)]
    return rng.choices([*REPLICAS, "gateway", *hosts], weights=weights)[0], lasts, ""
