"""docs/figures.md from the runs in benchmarks/kept: `python -m benchmarks page`."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from benchmarks import anchors, suite
from benchmarks.figures import counts_up
from benchmarks.report import number, span

KEPT = Path(__file__).with_name("kept")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "figures.md"
_ABOUT = """# Figures of one machine

What `make bench` told in the runs that are kept, in `benchmarks/kept`, of which `python -m benchmarks page`
writes this page. [performance.md](performance.md) says what each measures, where the time goes, and what a
goal that is missed would take. A goal is held against the median, or against p99 where it says so.
"""
_HEADINGS = (
    "figure", "n", "min", "median", "p99", "max", "unit", "goal", "", "OpenStack", "times better",
    "CPU-ms of one, by process",
)  # fmt: skip
_RIGHT = frozenset({"n", "min", "median", "p99", "max", "times better"})
_MET = {None: "", True: "met", False: "missed"}
# A process that takes less of an operation is not worth a reader's time.
_LEAST_CPU_MS = 0.05


def page(kept: Path = KEPT) -> str:
    """The whole document, of the runs in that directory."""
    lines = list(_newest(line for file in sorted(kept.glob("*.jsonl")) for line in _read(file)))
    held = [line["met"] for line in lines if line["met"] is not None]
    goals = f"{sum(held)} of {len(held)} goals are met. Beside them stand the figures of {anchors.source()}."
    parts = [_ABOUT, goals, ""]
    for run, of_run in groupby(sorted(lines, key=_place), key=lambda line: line["run"]):
        some = list(of_run)
        parts += [_head(run, some), ""]
        for name, figures in groupby(some, key=lambda line: line["benchmark"]):
            parts += [f"### {name}", "", *_table(list(figures)), ""]
    return "\n".join(parts)


def _read(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def _newest(lines: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Of a benchmark that several runs tell of, what the last one says."""
    lines = list(lines)
    last = {line["benchmark"]: line["run"] for line in lines}
    return (line for line in lines if last[line["benchmark"]] == line["run"])


def _place(line: dict[str, Any]) -> tuple[str, int]:
    return line["run"], suite.NAMES.index(line["benchmark"])


def _head(run: str, lines: list[dict[str, Any]]) -> str:
    first, loads = lines[0], [line["load"] for line in lines]
    machine, versions = first["machine"], first["versions"]
    how = "a full run" if first["full"] else "a short run"
    return (
        f"## {run[:4]}-{run[4:6]}-{run[6:8]}, {how} of {first['commit']}\n\n"
        f"{machine['cores']} processors ({machine['processor']}), {machine['memory_gib']:g} GiB, Linux"
        f" {machine['kernel']}, load average {min(loads):.1f} to {max(loads):.1f};"
        f" {', '.join(f'{name} {version}' for name, version in versions.items())}."
    )


def _table(lines: list[dict[str, Any]]) -> Iterator[str]:
    yield _row(_HEADINGS)
    yield _row("--:" if heading in _RIGHT else "---" for heading in _HEADINGS)
    yield from (_row(_cells(line)) for line in lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(line: dict[str, Any]) -> tuple[str, ...]:
    seen = (number(line[name]) for name in ("min", "median", "p99", "max"))
    cpu = ", ".join(f"{who} {number(ms)}" for who, ms in line["cpu_ms"].items() if ms >= _LEAST_CPU_MS)
    goal = (line["goal"], _MET[line["met"]])
    return (line["figure"], str(line["samples"]), *seen, line["unit"], *goal, *_beside(line), cpu)


def _beside(line: dict[str, Any]) -> tuple[str, str]:
    """OpenStack's, and how many times better weft's is than the best of it."""
    if not line["openstack"] or not line["ratio"]:
        return "", ""
    ratio = line["ratio"] if counts_up(line["unit"]) else 1 / line["ratio"]
    return span(*line["openstack"]), number(ratio)
