"""What the benchmarks say of samples. No test here looks at a clock."""

import asyncio
import os
import re
import sys
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest

from benchmarks import anchors, measure, processes, suite
from benchmarks.compare import compare, ratio
from benchmarks.figures import Figure, Goal
from benchmarks.report import Record, table


def figure(*samples: float, unit: str = "ms", goal: Goal | None = None) -> Figure:
    return Figure("boot", "to ACTIVE", unit, samples, goal, {"control": 2.0})


def test_a_goal_is_held_against_the_median() -> None:
    assert figure(1, 5, 100, goal=Goal(5)).line()["met"] is True
    assert figure(1, 6, 100, goal=Goal(5)).line()["met"] is False
    assert figure(1, 5, 100, goal=Goal(5, at_least=True)).line()["met"] is True
    assert figure(1, 4, 100, goal=Goal(5, at_least=True)).line()["met"] is False
    assert figure(1).line()["met"] is None


def test_a_goal_may_be_of_nearly_every_sample_instead() -> None:
    slow_once = [1.0] * 95 + [90.0] * 5
    assert figure(*slow_once, goal=Goal(50)).met is True
    assert figure(*slow_once, goal=Goal(50, share=0.99)).met is False
    assert figure(*slow_once, goal=Goal(90, share=0.99)).met is True
    assert str(Goal(50, share=0.99)) == "p99 ≤ 50"


def test_a_figure_stands_beside_the_best_of_openstacks() -> None:
    boots = Figure("boot", "to ACTIVE, 16 at once", "/s", [30])
    assert (boots.ratio, boots.line()["openstack"]) == (20, [1.5, 1.5])
    port = Figure("ports", "CreatePort, one at a time", "ms", [6.3], None, {"control": 5.0, "client": 9.0})
    assert port.ratio == port.line()["ratio"] == pytest.approx(0.05)
    out = StringIO()
    table([port, figure(1)], out)
    assert {"126-140, 125-146 CPU-ms", "0.05, 0.04"} <= set(re.split(" {2,}", out.getvalue()))
    assert anchors.source() in out.getvalue()
    nobody_knows = Figure("boot", "a thing of weft's own", "ms", [1])
    assert (nobody_knows.ratio, nobody_knows.line()["openstack"]) == (None, None)


def test_each_anchor_is_of_a_benchmark_that_there_is() -> None:
    assert {benchmark for benchmark, _ in anchors.anchors()} <= set(suite.NAMES)
    assert all(0 < anchor.low <= anchor.high for anchor in anchors.anchors().values())


def test_what_was_never_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="boot/to ACTIVE"):
        figure()


def test_figures_are_kept_with_machine_and_versions(tmp_path: Path) -> None:
    record = Record(tmp_path / "new" / "run.jsonl", full=False)
    record.keep(figure(3, 1, 2))
    record.keep(figure(4))
    first, second = map(orjson.loads, record.file.read_bytes().splitlines())
    assert (first["min"], first["median"], first["max"], first["samples"]) == (1, 2, 3, 3)
    assert first["cpu_ms"] == {"control": 2.0}
    assert first["machine"]["cores"] == os.cpu_count()
    assert first["versions"]["grpcio"]
    assert second["median"] == 4


def test_runs_are_compared_by_ratios_and_what_is_within_the_spread_is_called_the_same(tmp_path: Path) -> None:
    runs = []
    for name, slower in (("a", 1.0), ("b", 2.0)):
        runs.append(Record(tmp_path / f"{name}.jsonl", full=False))
        runs[-1].keep(figure(*(slower * each for each in (10, 11, 12, 13))))
        runs[-1].keep(Figure("call", "calls", "/s", [slower * each for each in (10, 11, 12, 13)]))
        runs[-1].keep(Figure("idle", "memory", "MB", [100, 300, 500, 700 * slower]))
    out = StringIO()
    compare(runs[0].file, runs[1].file, out)
    said = {line.split()[0]: line for line in out.getvalue().splitlines()}
    assert "2.00" in said["boot"]
    assert "worse" in said["boot"]
    assert "better" in said["call"]
    assert "the same" in said["idle"]


def test_a_ratio_to_nothing_is_infinite() -> None:
    assert ratio(figure(0).line(), figure(1).line())[0] == float("inf")


def test_a_table_says_whether_goals_are_met() -> None:
    out = StringIO()
    table([figure(1, goal=Goal(2)), figure(3, goal=Goal(2))], out)
    met, missed = out.getvalue().splitlines()[1:3]
    assert ("yes" in met, "yes" in missed) == (True, False)


async def test_each_piece_of_work_is_done_as_often_as_asked_and_no_more_at_once() -> None:
    done, running, most = 0, 0, 0

    async def work() -> None:
        nonlocal done, running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1

    assert len(await measure.one_by_one(work, 5, warm_up=2)) == 5
    assert (done, most) == (7, 1)
    assert await measure.at_once(work, 20, 4) > 0
    assert (done, most) == (27, 4)


def test_the_kernel_tells_processor_time_and_memory_of_a_process() -> None:
    with processes.spending({"this": os.getpid()}) as spent:
        while spent.ms.get("client", 0) < 20:
            sum(range(100_000))
            spent.stop()
    assert spent.each(2).cpu_ms["client"] >= 10
    assert spent.each(2).pss_mb["this"] > 1


async def test_a_benchmark_that_fails_keeps_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def breaks(bench: suite.Bench) -> None:
        raise ConnectionError("nobody there")

    async def tells(bench: suite.Bench) -> None:
        bench.tell("of nothing", "ms", [1.0])

    for name, run in (("breaks", breaks), ("tells", tells)):
        monkeypatch.setitem(sys.modules, f"benchmarks.{name}", SimpleNamespace(run=run))
    record = Record(tmp_path / "run.jsonl", full=False)
    figures, failed = await suite.run(["breaks", "tells"], False, record)
    assert ([figure.name for figure in figures], failed) == (["of nothing"], ["breaks"])
    said = capsys.readouterr().err
    assert all(word in said for word in ("[1/2] breaks", "nobody there", "[2/2] tells"))
