"""Figures as people read them, and as they are kept."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.figures import Figure


class Record:
    """Keeps figures as JSON lines in a new file, each with the machine, the versions and the load."""

    def __init__(self, file: Path, full: bool) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self._head = {"run": file.stem, "full": full, **machine.description()}

    def keep(self, figure: Figure) -> None:
        """Written at once: what was measured stays, whatever happens later."""
        line = {**self._head, "load": machine.load(), **figure.line()}
        with self.file.open("ab") as lines:
            lines.write(orjson.dumps(line) + b"\n")


def show(figure: Figure) -> str:
    """One line about one figure."""
    text = f"{figure.benchmark}: {figure.name}: {number(figure.median)} {figure.unit}"
    return text + (f" (goal {figure.goal})" if figure.goal else "")


def table(figures: Iterable[Figure], out: IO[str]) -> None:
    """All figures, with goals and whether they are met."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("benchmark")
    shown.add_column("figure")
    for heading in ("n", "min", "median", "max"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for heading in ("unit", "goal", "met"):
        shown.add_column(heading, no_wrap=True)
    shown.add_column("CPU-ms of one, by process")
    before = ""
    for figure in figures:
        shown.add_row(figure.benchmark if figure.benchmark != before else "", *_cells(figure))
        before = figure.benchmark
    Console(file=out, width=None if out.isatty() else 180).print(shown)


def _cells(figure: Figure) -> tuple[str, ...]:
    goal, met = figure.goal, ""
    if goal is not None:
        met = "[green]yes" if goal.met(figure.median) else "[red]no"
    low, high = min(figure.samples), max(figure.samples)
    cpu = ", ".join(f"{name} {number(ms)}" for name, ms in figure.cpu_ms.items())
    numbers = (number(low), number(figure.median), number(high))
    return (figure.name, str(len(figure.samples)), *numbers, figure.unit, str(goal or ""), met, cpu)


def number(value: float) -> str:
    """With three digits that mean something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
