"""Hostile requests to every operation of the contracts' REST, made by schemathesis from the OpenAPI document.

What comes back is an answer, a refusal, or an honest word that something is not there or has taken too long:
anything else, or nothing within some seconds, counts against the operation.
"""

import asyncio
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.compat import results
from tests.compat.hostile_run import Answer, Answers, hunted, told
from tests.end_to_end.clouds import Cloud, cloud

# They end when the caller goes, or with the caller's time.
_STREAMS = ":(watch|followConsole)$"
# They end the caller's own session where they name no other.
_FAREWELLS = "^/identity/v1/(tokens:revoke|passwords:change)$"
# They may end or change others' sessions, and so are tried apart from what is done in these.
_ENDINGS = (
    rf"^(?!{_FAREWELLS[1:]}).*(:(revoke|setPassword|purge|remove|delete)$"
    r"|^/identity/v1/(users|domains|projects|roles|groups|trusts|applicationCredentials)/{id}$)"
)
_REST = f"{_STREAMS}|{_FAREWELLS}|{_ENDINGS}"


class Hunt(NamedTuple):
    """Who asks, for how many seconds, for which operations, and what is surely among what is answered."""

    who: str
    seconds: int
    which: tuple[str, str]
    answered: set[int]
    headers: Mapping[str, str] = {}


_HUNTS = {
    "member": Hunt("member", 150, ("--exclude-path-regex", _REST), {200, 400, 403}),
    "streams": Hunt("member", 60, ("--include-path-regex", _STREAMS), {400, 504}, {"grpc-timeout": "500m"}),
    "administrator": Hunt("administrator", 150, ("--exclude-path-regex", _REST), {200, 400, 404}),
    "endings": Hunt("administrator", 60, ("--include-path-regex", _ENDINGS), {200, 400, 404}),
    "farewells": Hunt("member", 20, ("--include-path-regex", _FAREWELLS), {200, 400, 401}),
}


@pytest.fixture(scope="module")
def prey() -> Iterator[Cloud]:
    """A cloud that nobody needs afterwards."""
    with cloud(1, "simulated") as found:
        yield found


async def tokens(prey: Cloud) -> dict[str, str]:
    """Those of a member of a project and of the administrator of the system."""
    async with prey.person("hostile") as member:
        password = prey.layout.admin_password.read_text().strip()
        login = {"password": {"user_name": "admin", "password": password}, "scope": {"system": True}}
        with client(prey) as nobody:
            answer = nobody.post("/identity/v1/tokens", json=login).raise_for_status()
        return {"member": member.token, "administrator": answer.json()["token"]}


def client(prey: Cloud, token: str = "") -> httpx.Client:
    """REST at the gateway."""
    trust = ssl.create_default_context(cafile=str(prey.layout.ca))
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=f"https://{prey.layout.endpoint}", verify=trust, headers=headers, timeout=60)


def package(operation: str) -> str:
    """`GET /compute/v1/servers` → `compute`."""
    return operation.split("/")[1]


def outcomes(document: str, found: list[Answers]) -> dict[str, str]:
    """What came of each operation of the document in all hunts together; skipped where none has asked
    it, or only after the session that asks had ended.
    """
    said = {
        f"{method.upper()} {path}": "skipped"
        for path, methods in json.loads(document)["paths"].items()
        for method in methods
    }
    for answers in found:
        for operation, each in answers.items():
            if tried := [answer.honest for answer in each if answer.reason != "TOKEN_REVOKED"]:
                failed = said[operation] == "failed" or not all(tried)
                said[operation] = "failed" if failed else "passed"
    return said


def test_a_failure_and_silence_count_against_an_operation() -> None:
    answered = {
        "passed": [Answer(200, ""), Answer(404, "NOT_FOUND"), Answer(501, "UNSUPPORTED")],
        "failed": [Answer(200, ""), Answer(500, "INTERNAL")],
        "silent": [Answer(200, ""), Answer(0, "")],
        "wordless": [Answer(504, "")],
        "ended": [Answer(401, "TOKEN_REVOKED")],
    }
    paths = {f"/x/{name}": {"get": {}} for name in (*answered, "unasked")}
    found = {f"GET /x/{name}": each for name, each in answered.items()}
    said = outcomes(json.dumps({"paths": paths}), [found, {"GET /x/failed": [Answer(200, "")]}])
    assert {name.rpartition("/")[2]: outcome for name, outcome in said.items()} == {
        **{"passed": "passed", "failed": "failed", "silent": "failed", "wordless": "failed"},
        **{"ended": "skipped", "unasked": "skipped"},
    }


@pytest.mark.timeout(900)
def test_what_is_made_from_the_document_is_refused_or_answered(prey: Cloud, tmp_path: Path) -> None:
    people, found = asyncio.run(tokens(prey)), []
    with client(prey) as nobody:
        text = nobody.get("/openapi.json").raise_for_status().text
    for name, hunt in _HUNTS.items():
        token = people[hunt.who]
        with client(prey, token) as caller:
            assert caller.get("/identity/v1/tokens/current").status_code == 200, f"{hunt.who} was logged out"
        document = tmp_path / name / "openapi.json"
        document.parent.mkdir()
        document.write_text(text)
        headers = {"authorization": f"Bearer {token}", **hunt.headers}
        url = f"https://{prey.layout.endpoint}"
        answers = hunted(document, url, prey.layout.ca, headers, hunt.seconds, *hunt.which)
        print(f"{name}\n{told(answers)}")
        assert hunt.answered <= {answer.status for each in answers.values() for answer in each}
        found.append(answers)
    said = outcomes(text, found)
    results.record("schemathesis", said, package)
    results.hold("schemathesis", said)
