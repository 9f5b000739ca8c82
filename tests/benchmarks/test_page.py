"""The page of figures: of the runs that are kept, and of those alone."""

from pathlib import Path

from benchmarks import page
from benchmarks.figures import Figure, Goal
from benchmarks.report import Record


def run(kept: Path, name: str, *figures: Figure) -> None:
    record = Record(kept / f"{name}.jsonl", full=False)
    for figure in figures:
        record.keep(figure)


def test_of_a_benchmark_that_was_run_again_the_last_run_counts(tmp_path: Path) -> None:
    boots = ("boot", "to ACTIVE, 16 at once", "/s")
    run(tmp_path, "20260101T000000Z", Figure(*boots, [15.0], Goal(100, at_least=True)))
    run(tmp_path, "20260102T000000Z", Figure(*boots, [45.0], Goal(40, at_least=True), {"control": 20.04}))
    run(tmp_path, "20260103T000000Z", Figure("call", "GetFlavor", "ms", [2.0], Goal(1)))
    made = page.page(tmp_path)
    assert "1 of 2 goals are met" in made
    assert "| to ACTIVE, 16 at once | 1 | 45 | 45 | 45 | 45 | /s | ≥ 40 | met | 1.5 | 30 |" in made
    assert "| control 20 |" in made
    assert "## 2026-01-02, a short run" in made
    assert "2026-01-01" not in made


def test_the_page_in_the_documents_is_of_the_runs_that_are_kept() -> None:
    assert page.PAGE.read_text() == page.page()
    assert "| to ACTIVE, 16 at once |" in page.page()
