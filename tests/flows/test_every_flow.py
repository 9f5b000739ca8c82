"""Every flow that a service registers goes through a crash matrix: none is there that nobody kills."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from mesh.flow import Flow

ROOT = Path(__file__).parents[2]


def flows_in(found: object) -> Iterator[Flow]:
    """A flow, or those of a list of them."""
    if isinstance(found, Flow):
        yield found
    elif isinstance(found, list | tuple):
        for each in found:
            yield from flows_in(each)


def registered() -> set[str]:
    """The kinds of all that `FLOWS` of a service's modules name."""
    modules = [*ROOT.glob("services/*/__main__.py"), *ROOT.glob("services/*/flows/__init__.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules]
    found = (getattr(importlib.import_module(name.removesuffix(".__init__")), "FLOWS", ()) for name in names)
    return {flow.kind for each in found for flow in flows_in(each)}


def rehearsed() -> set[str]:
    """The kinds of all that tests of crashes import from services."""
    found: set[str] = set()
    for path in ROOT.glob("tests/**/test_*crashes*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("services."):
                module = importlib.import_module(node.module or "")
                named = (getattr(module, alias.name, None) for alias in node.names)
                found |= {flow.kind for each in named for flow in flows_in(each)}
    return found


def test_every_flow_of_every_service_is_killed_at_each_of_its_points() -> None:
    assert {"server.boot", "project.purge"} <= registered()
    assert registered() - rehearsed() == set()
