"""Each benchmark can be begun: what all of them stand on has not moved away from under one."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest

import benchmarks
from benchmarks import suite

FOLDER = Path(benchmarks.__file__).parent


@pytest.mark.parametrize("name", suite.NAMES)
def test_a_benchmark_is_a_module_with_a_run_of_its_own(name: str) -> None:
    run = import_module(f"benchmarks.{name}").run
    assert inspect.iscoroutinefunction(run)
    assert list(inspect.signature(run).parameters) == ["bench"]


def test_no_benchmark_is_left_out_of_a_whole_run() -> None:
    written = {file.stem for file in FOLDER.glob("*.py") if "async def run(bench: Bench)" in file.read_text()}
    assert written == set(suite.NAMES)
