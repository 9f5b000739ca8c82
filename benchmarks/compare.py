"""Two runs beside each other: ratios of medians, with their spread."""

from pathlib import Path
from typing import IO, Any

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.figures import counts_up
from benchmarks.report import number

Lines = dict[tuple[str, str], dict[str, Any]]


def compare(first: Path, second: Path, out: IO[str]) -> None:
    """Print, for each figure that both have, B / A, and between what it lies by the quartiles of both."""
    left, right = read(first), read(second)
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("benchmark", "figure", "unit"):
        shown.add_column(heading)
    for heading in (first.stem, second.stem, "B / A", "spread"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("B is")
    for key in (key for key in left if key in right):
        shown.add_row(*key, *_cells(left[key], right[key]))
    Console(file=out, width=None if out.isatty() else 160).print(shown)


def read(file: Path) -> Lines:
    """The figures of a run, by benchmark and name; of one measured twice the last."""
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    return {(line["benchmark"], line["figure"]): line for line in lines}


def ratio(first: dict[str, Any], second: dict[str, Any]) -> tuple[float, float, float]:
    """B / A of the medians, and the least and most that the quartiles allow. Infinite where A is 0."""
    pairs = (("median", "median"), ("p25", "p75"), ("p75", "p25"))
    middle, low, high = (
        second[above] / first[below] if first[below] else float("inf") for above, below in pairs
    )
    return middle, low, high


def _cells(first: dict[str, Any], second: dict[str, Any]) -> tuple[str, ...]:
    middle, low, high = ratio(first, second)
    said = "the same, as far as can be told"
    if low > 1 or high < 1:
        better = (middle > 1) == counts_up(first["unit"])
        said = "[green]better" if better else "[red]worse"
    values = (number(first["median"]), number(second["median"]))
    return (first["unit"], *values, f"{middle:.2f}", f"{low:.2f}-{high:.2f}", said)
