"""Each call of each dialect as its public reference tells it: pairs of request and answer, replayed in order.

pairs/<service>.yaml begins with `shapes`: what an answer must have at least. A shape is a document of shapes
(`+` names one whose fields it has too), a list of one shape for all its items, the name of a shape, or
`text`, `number`, `flag`, `uuid`, `time`, `any`; `maybe text` may be null, and `=x` is the text x.

A pair names who calls (`one` unless said otherwise), what is sent, the status (200 unless said otherwise) and
what is kept of the answer for the paths and bodies after it. Names in braces that nothing was kept as are
themselves meant. One with `until` is asked again until the answer has that status, or succeeds with those
values. `first` are pairs with other services, whole paths, of what a service's own stand on.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.openstack.app import DIALECTS
from gateway.openstack.dialect import Dialect
from tests.gateway.conftest import Cloud

_FOLDER = Path(__file__).with_name("pairs")
_MISSING = _FOLDER / "missing.txt"
_PATIENCE = 60.0
_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|default", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
_NAME = re.compile(r"\{(\w[^{}]*)\}")
_LEAVES: Mapping[str, Callable[[Any], bool]] = {
    "any": lambda value: True,
    "text": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "flag": lambda value: isinstance(value, bool),
    "uuid": lambda value: isinstance(value, str) and bool(_UUID.fullmatch(value)),
    "time": lambda value: isinstance(value, str) and bool(_TIME.fullmatch(value)),
}


def read(dialect: Dialect) -> Any:
    """The shapes and pairs of a service."""
    return yaml.safe_load((_FOLDER / f"{dialect.name}.yaml").read_text())


def wrong(value: Any, shape: Any, shapes: Mapping[str, Any], place: str = "answer") -> Iterator[str]:
    """What of a value is not as its shape tells."""
    if isinstance(shape, str) and shape in shapes:
        shape = shapes[shape]
    if isinstance(shape, dict):
        yield from _wrong_document(value, shape, shapes, place)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{place} is no list: {value!r}"
            return
        for number, item in enumerate(value):
            yield from wrong(item, shape[0], shapes, f"{place}[{number}]")
    elif shape.startswith("="):
        if value != shape[1:]:
            yield f"{place} is {value!r}, not {shape[1:]!r}"
    elif not (shape.startswith("maybe ") and value is None) and not _LEAVES[shape.removeprefix("maybe ")](
        value
    ):
        yield f"{place} is no {shape}: {value!r}"


def _wrong_document(
    value: Any, shape: Mapping[str, Any], shapes: Mapping[str, Any], place: str
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place} is no document: {value!r}"
        return
    for name, inner in shape.items():
        if name == "+":
            yield from wrong(value, inner, shapes, place)
        elif name not in value:
            yield f"{place} has no {name}"
        else:
            yield from wrong(value[name], inner, shapes, f"{place}.{name}")


def filled(template: Any, kept: Mapping[str, Any]) -> Any:
    """A path or body with what was kept in the place of names in braces; what is nothing else, as it is."""
    if isinstance(template, str):
        if (whole := _NAME.fullmatch(template)) and whole[1] in kept:
            return kept[whole[1]]
        return _NAME.sub(lambda found: str(kept.get(found[1], found[1])), template)
    if isinstance(template, list):
        return [filled(item, kept) for item in template]
    if isinstance(template, dict):
        return {filled(name, kept): filled(item, kept) for name, item in template.items()}
    return template


def picked(document: Any, path: str) -> Any:
    """The value at the end of a way of names and numbers."""
    for step in path.split("."):
        document = document[int(step)] if step.isdecimal() else document[step]
    return document


def asked(client: httpx.Client, mount: str, pair: Mapping[str, Any], kept: Mapping[str, Any]) -> Any:
    """The answer to a pair's request."""
    method, path = filled(pair["call"], kept).split(" ")
    send, headers = filled(pair.get("send"), kept), dict(pair.get("headers", {}))
    if isinstance(send, str):
        content, kind = send.encode(), "application/octet-stream"
    else:
        content, kind = b"" if send is None else json.dumps(send).encode(), "application/json"
    headers["content-type"] = pair.get("type", kind)
    return client.request(method, mount + path, content=content, headers=filled(headers, kept))


def replay(client: httpx.Client, mount: str, pair: Mapping[str, Any], kept: dict[str, Any]) -> httpx.Response:
    """Ask, and ask again while the answer is not yet what the pair waits for."""
    ends = time.monotonic() + _PATIENCE
    while True:
        answer = asked(client, mount, pair, kept)
        if time.monotonic() > ends or _is_there(answer, pair.get("until")):
            return answer
        time.sleep(0.1)


def _is_there(answer: httpx.Response, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return wanted in (None, answer.status_code)
    return answer.is_success and all(picked(answer.json(), path) == value for path, value in wanted.items())


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_answers_are_as_the_reference_tells(
    dialect: Dialect, cloud: Cloud, one: httpx.Client, two: httpx.Client, operator: httpx.Client
) -> None:
    callers, told = {"one": one, "two": two, "operator": operator, "nobody": cloud.client()}, read(dialect)
    kept = {name: _who(caller)["project"]["id"] for name, caller in callers.items() if name != "nobody"}
    user = _who(one)["user"]
    kept |= {"password": cloud.password, "user": user["id"], "own": user["domain"]["id"]}
    kept |= {"token": one.headers["x-auth-token"], "spare token": cloud.login()}
    for pair in told.get("first", []):
        take(callers, "", pair, kept, {})
    for pair in told["pairs"]:
        take(callers, dialect.mount, pair, kept, told["shapes"])


def take(
    callers: Mapping[str, httpx.Client],
    mount: str,
    pair: Mapping[str, Any],
    kept: dict[str, Any],
    shapes: Any,
) -> None:
    """Replay a pair, and keep of its answer what it names."""
    answer = replay(callers[pair.get("as", "one")], mount, pair, kept)
    wanted = pair["until"] if isinstance(pair.get("until"), int) else pair.get("status", 200)
    assert answer.status_code == wanted, (pair["call"], answer.text)
    if "answer" in pair:
        assert list(wrong(answer.json(), pair["answer"], shapes)) == [], pair["call"]
    for name, path in pair.get("keep", {}).items():
        kept[name] = picked(answer.json(), path)


def _who(client: httpx.Client) -> Any:
    headers = {"x-subject-token": client.headers["x-auth-token"]}
    return client.get("/identity/v3/auth/tokens", headers=headers).json()["token"]


def replayed(dialect: Dialect) -> set[str]:
    """The routes of a dialect that a pair of it takes."""
    found = set()
    for pair in read(dialect)["pairs"]:
        method, path = pair["call"].split(" ")
        steps = _NAME.sub("{}", path.partition("?")[0])
        found |= {
            f"{route.method} {route.path}"
            for route in dialect.routes
            if route.method == method and _NAME.sub("{}", route.path) == steps
        }
    return found


def test_every_call_has_a_pair() -> None:
    """What has none is on the list of those that are missing, which may only shrink."""
    missing = {
        f"{dialect.name} {call}"
        for dialect in DIALECTS
        for call in {f"{route.method} {route.path}" for route in dialect.routes} - replayed(dialect)
    }
    listed = set(_MISSING.read_text().splitlines())
    assert sorted(missing - listed) == [], "give each a pair"
    assert sorted(listed - missing) == [], "take them off the list"
