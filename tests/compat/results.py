"""What the judges said, counted into judges/results.json and held to what is known to fail.

A judge's known failures are in known/<judge>.txt, one test a line, each below the reason why. The lists
may only shrink: a test on one that passes is an error like a test that fails and is on none.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

_KNOWN = Path(__file__).with_name("known")
_RESULTS = Path(__file__).with_name("judges") / "results.json"
OUTCOMES = ("passed", "failed", "skipped")


def read() -> dict[str, dict[str, dict[str, int]]]:
    """The last run of each judge: counts by outcome, by service, by judge."""
    return json.loads(_RESULTS.read_text())


def record(judge: str, outcomes: Mapping[str, str], service: Callable[[str], str]) -> None:
    """Keep what came of each test ("passed", "failed" or "skipped") as a judge's last run, by service."""
    counts: dict[str, Counter[str]] = {}
    for test, outcome in outcomes.items():
        counts.setdefault(service(test), Counter())[outcome] += 1
    said = {name: {each: counts[name][each] for each in OUTCOMES} for name in sorted(counts)}
    _RESULTS.write_text(json.dumps(dict(sorted({**read(), judge: said}.items())), indent=2) + "\n")


def known(judge: str) -> set[str]:
    """The tests of a judge that are known to fail."""
    text = (_KNOWN / f"{judge}.txt").read_text()
    lines = (line.partition("# ")[0].strip() for line in text.splitlines())
    return {line for line in lines if line and line != "#"}


def hold(judge: str, outcomes: Mapping[str, str], log: str = "") -> None:
    """Fails where a test fails that is not known to, or passes that is; `log` is shown then."""
    failed, passed = (_with(outcomes, outcome) for outcome in ("failed", "passed"))
    new, over = sorted(failed - known(judge)), sorted(known(judge) & passed)
    assert not new, "\n".join([log, "these fail:", *new])
    assert not over, "\n".join(["these pass, take them off the list:", *over])


def _with(outcomes: Mapping[str, str], wanted: str) -> set[str]:
    return {test for test, outcome in outcomes.items() if outcome == wanted}


def table() -> Iterable[str]:
    """The last runs as the rows of a page."""
    yield "| judge | service | passed | failed | skipped |"
    yield "|---|---|---:|---:|---:|"
    for judge, services in read().items():
        for service, counts in services.items():
            yield f"| {judge} | {service} | " + " | ".join(str(counts[each]) for each in OUTCOMES) + " |"
