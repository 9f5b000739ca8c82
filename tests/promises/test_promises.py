"""Every promise is numbered and names tests that are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PROMISE = re.compile(r"^(\d+)\. (.+)$")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def promises() -> dict[int, str]:
    """The lines of PROMISES.md by number."""
    lines = map(_PROMISE.match, (ROOT / "PROMISES.md").read_text().splitlines())
    found = [match for match in lines if match]
    assert [int(match[1]) for match in found] == list(range(1, len(found) + 1))
    return {int(match[1]): match[2] for match in found}


def unheld(promise: str) -> str:
    """Why nothing holds the promise; empty when each test that it names can run and fail."""
    named = _TEST.findall(promise)
    if not named:
        return "it names no test"
    return "; ".join(filter(None, (_missing(path, name) for path, name in named)))


def _missing(path: str, name: str) -> str:
    if not (ROOT / path).exists():
        return f"there is no {path}"
    module = ast.parse((ROOT / path).read_text())
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    test = next((node for node in functions if node.name == name), None)
    if test is None:
        return f"there is no {name} in {path}"
    marks = [ast.unparse(mark) for mark in test.decorator_list]
    return f"{name} is never run" if any(".skip(" in m or ".xfail" in m for m in marks) else ""


@pytest.mark.parametrize("number", promises())
def test_a_promise_is_held_by_tests(number: int) -> None:
    assert unheld(promises()[number]) == ""


@pytest.mark.parametrize(
    ("promise", "why"),
    [
        ("Words alone.", "names no test"),
        ("`tests/promises/test_nothing.py::test_a`", "there is no tests/promises/test_nothing.py"),
        ("`tests/promises/test_promises.py::test_that_never_was`", "there is no test_that_never_was"),
    ],
)
def test_a_promise_that_nothing_holds_is_found_out(promise: str, why: str) -> None:
    assert why in unheld(promise)
