"""Placement's own tests of its API, file after file, each on an empty database and over HTTP."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from tests.compat import results
from tests.compat.install import installed
from tests.compat.placement_stand import standing

_JUDGE = Path(__file__).with_name("gabbi_judge.py")
# What the reference makes for them is plain; others want another policy, or how the web's pages call.
_PLAIN = {"APIFixture", "AllocationFixture"}
_AT_ONCE = 2


def files(judge: Path) -> list[Path]:
    """Those that want nothing but what can be made over HTTP."""
    (folder,) = judge.parent.glob("lib/*/site-packages/placement/tests/functional/gabbits")
    return [file for file in sorted(folder.glob("*.yaml")) if _wanted(file.read_text()) <= _PLAIN]


def _wanted(text: str) -> set[str]:
    return set(yaml.safe_load(text).get("fixtures") or ())


async def judged(judge: Path, file: Path) -> dict[str, str]:
    """What came of each test of a file."""
    async with standing() as port:
        process = await asyncio.create_subprocess_exec(
            judge / "python", _JUDGE, file, "127.0.0.1", str(port),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    found = json.loads(said.splitlines()[-1])
    for test, (outcome, why) in found.items():
        if outcome == "failed":
            print(f"{file.stem}: {test}: {why}")
    return {f"{file.stem}: {test}": outcome for test, (outcome, _) in found.items()}


@pytest.mark.timeout(900)
async def test_its_own_tests_fail_only_where_they_are_known_to() -> None:
    judge = await asyncio.to_thread(installed, "placement")
    turns = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(file: Path) -> dict[str, str]:
        async with turns:
            return await judged(judge, file)

    found: dict[str, str] = {}
    for outcomes in await asyncio.gather(*(in_turn(file) for file in files(judge))):
        found |= outcomes
    results.record("placement-gabbi", found, lambda _: "placement")
    results.hold("placement-gabbi", found)
