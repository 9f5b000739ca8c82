"""Figures as people read them, and as they are kept."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import anchors, machine
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
    text += f" (goal {figure.goal})" if figure.goal else ""
    return text + (f", {number(figure.ratio)} of OpenStack's" if figure.ratio else "")


def table(figures: Iterable[Figure], out: IO[str]) -> None:
    """All figures, with goals and whether they are met, and OpenStack's where those are known."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("benchmark")
    shown.add_column("figure")
    for heading in ("n", "min", "median", "p99", "max"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for heading in ("unit", "goal", "met"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("OpenStack", "weft / OpenStack"):
        shown.add_column(heading, justify="right")
    shown.add_column("CPU-ms of one (and MB PSS afterwards), by process")
    figures = list(figures)
    before = ""
    for figure in figures:
        shown.add_row(figure.benchmark if figure.benchmark != before else "", *_cells(figure))
        before = figure.benchmark
    Console(file=out, width=None if out.isatty() else 200).print(shown)
    if any(figure.anchor for figure in figures):
        print(f"\nOpenStack: {anchors.source()}", file=out)
    for figure in figures:
        if figure.anchor and figure.anchor.note:
            print(f"  {figure.benchmark}: {figure.name}: {figure.anchor.note}", file=out)


def _cells(figure: Figure) -> tuple[str, ...]:
    met = {None: "", True: "[green]yes", False: "[red]no"}[figure.met]
    seen = (min(figure.samples), figure.median, figure.at(0.99), max(figure.samples))
    memory = {name: f" ({number(mb)})" for name, mb in figure.pss_mb.items()}
    cpu = ", ".join(f"{name} {number(ms)}{memory.get(name, '')}" for name, ms in figure.cpu_ms.items())
    goal = str(figure.goal or "")
    told = (figure.unit, goal, met, *_beside(figure), cpu)
    return (figure.name, str(len(figure.samples)), *map(number, seen), *told)


def _beside(figure: Figure) -> tuple[str, str]:
    """What OpenStack takes, and what weft takes of that; of the processors' time too where it is known."""
    anchor, ratio = figure.anchor, figure.ratio
    if anchor is None or ratio is None:
        return "", ""
    between, share = span(anchor.low, anchor.high), number(ratio)
    ours = sum(ms for name, ms in figure.cpu_ms.items() if name != "client")
    if anchor.cpu_ms and ours:
        between += f", {span(*anchor.cpu_ms)} CPU-ms"
        share += f", {number(ours / anchor.cpu_ms[0])}"
    return between, share


def span(low: float, high: float) -> str:
    """From one figure to another, as one where they are the same."""
    return number(low) if low == high else f"{number(low)}-{number(high)}"


def number(value: float) -> str:
    """With three digits that mean something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
