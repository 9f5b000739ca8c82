"""What a figure is held against besides its goal: the same, measured of real OpenStack (anchors.toml)."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("anchors.toml")


@dataclass(frozen=True, slots=True)
class Anchor:
    """Between what OpenStack's figure lies, in the unit of weft's; `cpu_ms` is the processors' time of one
    operation, least and most, where it is known.
    """

    benchmark: str
    figure: str
    low: float
    high: float
    cpu_ms: tuple[float, ...] = ()
    note: str = ""

    def ratio(self, value: float, *, more_is_better: bool) -> float:
        """weft's figure as a share of OpenStack's best."""
        return value / (self.high if more_is_better else self.low)


@cache
def anchors() -> dict[tuple[str, str], Anchor]:
    """All, by benchmark and figure."""
    found = (Anchor(**{**each, "cpu_ms": tuple(each.get("cpu_ms", ()))}) for each in _read()["anchor"])
    return {(anchor.benchmark, anchor.figure): anchor for anchor in found}


def source() -> str:
    """What was measured, where and when, in one line."""
    said = _read()["source"]
    return f"{said['what']}; {said['where']}, {said['date']}"


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text())
