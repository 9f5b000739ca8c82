"""schemathesis against REST: what each operation answered to what was made from the OpenAPI document."""

import base64
import json
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.compat.install import installed

# One thread: ast of Python 3.11, which hypothesis reads its own modules with, counts its depth for all of
# them together.
_LIMITS = (
    *("--workers", "1", "--request-timeout", "10", "--seed", "1", "--continue-on-failure", "--no-shrink"),
    *("--suppress-health-check", "all", "--warnings", "off", "--generation-database", "none"),
    *("--checks", "not_a_server_error", "--phases", "coverage,fuzzing", "--max-examples", "5"),
)
# What is no failure of the cloud, and why: it says that there is no such thing here, or that the time which
# the caller gave is over.
_HONEST = {(501, "UNSUPPORTED"), (504, "DEADLINE_EXCEEDED")}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, 0 where nothing came in time, and the reason of a problem ("" of anything else)."""

    status: int
    reason: str

    @property
    def honest(self) -> bool:
        """Whether it is what was asked for, a refusal, or says what cannot be and why."""
        taken = 200 <= self.status < 300 or 400 <= self.status < 500
        return taken or (self.status, self.reason) in _HONEST


Answers = dict[str, list[Answer]]


def hunted(document: Path, url: str, ca: Path, headers: dict[str, str], seconds: int, *which: str) -> Answers:
    """What the operations that `which` chooses answered, in at most so many seconds."""
    report = document.with_name("report.ndjson")
    words = [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    done = subprocess.run(
        [
            *(installed("schemathesis") / "schemathesis", "run", document, "--url", url, "--tls-verify", ca),
            *("--report", "ndjson", "--report-ndjson-path", report, "--max-time", str(seconds)),
            *(*_LIMITS, *words, *which),
        ],
        cwd=document.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert report.exists(), said
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    wrong = [line for line in lines if "NonFatalError" in line or "FatalError" in line]
    assert not wrong, f"{wrong[:3]}\n{said[-3000:]}"
    return _answers(lines)


def _answers(lines: Iterable[dict]) -> Answers:
    found: Answers = {}
    for line in lines:
        recorder = line.get("ScenarioFinished", {}).get("recorder") or {}
        for interaction in recorder.get("interactions", {}).values():
            found.setdefault(recorder["label"], []).append(_answer(interaction.get("response")))
    return found


def _answer(response: dict | None) -> Answer:
    if response is None:
        return Answer(0, "")
    kinds = [
        value
        for name, values in response["headers"].items()
        if name.lower() == "content-type"
        for value in values
    ]
    if "application/problem+json" not in kinds:
        return Answer(response["status_code"], "")
    problem = json.loads(base64.b64decode(response["content"]["$base64"]))
    return Answer(response["status_code"], problem["reason"])


def told(answers: Answers) -> str:
    """How often what was answered, and which operations failed."""
    each = Counter(answer for found in answers.values() for answer in found)
    lines = [f"{count:6} {answer.status} {answer.reason}" for answer, count in sorted(each.items(), key=str)]
    lines += [
        f"failed: {operation}: {sorted({(a.status, a.reason) for a in found if not a.honest})}"
        for operation, found in answers.items()
        if not all(answer.honest for answer in found)
    ]
    return "\n".join(lines)
