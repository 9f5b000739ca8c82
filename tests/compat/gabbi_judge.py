"""One file of Placement's own tests against an address, in the judge's own Python.

`python gabbi_judge.py FILE HOST PORT` prints what came of each test as JSON. Where a file wants a fixture,
the reference makes it in its own database, and what is in there is then made over HTTP.
"""

import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from gabbi import driver, fixture
from placement.objects import allocation, inventory, resource_class, resource_provider, trait
from placement.tests.functional.fixtures import gabbits

_HEADERS = {"x-auth-token": "admin", "openstack-api-version": "placement 1.37"}


class Replay:
    """Makes over HTTP what the reference has in its database."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, headers=_HEADERS)

    def everything(self, context: Any) -> None:
        """Names, providers with all that belongs to them, allocations."""
        for kind, found in (
            ("resource_classes", resource_class.get_all(context)),
            ("traits", trait.get_all(context)),
        ):
            for each in found:
                if each.name.startswith("CUSTOM_"):
                    self._put(f"/{kind}/{each.name}")
        providers = resource_provider.get_all_by_filters(context, {})
        for each in sorted(providers, key=lambda one: one.id):
            self._provider(context, each)
        consumers = {
            each.consumer.uuid: each.consumer
            for one in providers
            for each in allocation.get_all_by_resource_provider(context, one)
        }
        for each in sorted(consumers.values(), key=lambda one: one.id):
            self._allocations(context, each)
        for each in resource_provider.get_all_by_filters(context, {}):
            self._until(f"/resource_providers/{each.uuid}", each.generation)

    def _until(self, path: str, generation: int) -> None:
        """Its traits are set once more until it has been changed as often as the reference's."""
        while (now := self._say("GET", path)["generation"]) < generation:
            traits = self._say("GET", f"{path}/traits")["traits"]
            self._put(f"{path}/traits", {"resource_provider_generation": now, "traits": traits})

    def _provider(self, context: Any, each: Any) -> None:
        body = {"name": each.name, "uuid": each.uuid}
        if each.parent_provider_uuid:
            body["parent_provider_uuid"] = each.parent_provider_uuid
        self._say("POST", "/resource_providers", body)
        path = f"/resource_providers/{each.uuid}"
        held = {
            one.resource_class: _amounts(one) for one in inventory.get_all_by_resource_provider(context, each)
        }
        traits = [one.name for one in trait.get_all_by_resource_provider(context, each)]
        for part, wanted in (
            ("inventories", held),
            ("traits", traits),
            ("aggregates", sorted(each.get_aggregates())),
        ):
            if wanted:
                generation = self._say("GET", path)["generation"]
                self._put(f"{path}/{part}", {"resource_provider_generation": generation, part: wanted})

    def _allocations(self, context: Any, consumer: Any) -> None:
        held: dict[str, dict[str, Any]] = {}
        for each in allocation.get_all_by_consumer_id(context, consumer.uuid):
            resources = held.setdefault(each.resource_provider.uuid, {"resources": {}})["resources"]
            resources[each.resource_class] = each.used
        body = {
            "allocations": held,
            "project_id": consumer.project.external_id,
            "user_id": consumer.user.external_id,
            "consumer_generation": None,
        }
        self._put(f"/allocations/{consumer.uuid}", body)

    def _put(self, path: str, body: Any = None) -> None:
        self._say("PUT", path, body)

    def _say(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.request(method, path, json=body)
        assert answer.is_success, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def _amounts(one: Any) -> dict[str, Any]:
    names = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio")
    return {name: getattr(one, name) for name in names}


def replaying(url: str) -> ModuleType:
    """The reference's fixtures, each of which is made at that address too."""
    module = ModuleType("replaying")
    for name, kind in vars(gabbits).items():
        if isinstance(kind, type) and issubclass(kind, fixture.GabbiFixture):

            def start_fixture(self: Any, kind: Any = kind) -> None:
                kind.start_fixture(self)
                Replay(url).everything(self.context)

            setattr(module, name, type(name, (kind,), {"start_fixture": start_fixture}))
    return module


def judged(file: Path, host: str, port: int) -> dict[str, list[str]]:
    """What came of each test of the file, and why."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(file, folder)
        module = replaying(f"http://{host}:{port}")
        suite = driver.build_tests(
            folder,
            unittest.TestLoader(),
            host=host,
            port=port,
            test_loader_name="weft",
            fixture_module=module,
        )
        result = _Result()
        suite.run(result)
    return result.outcomes


class _Result(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[str, list[str]] = {}

    def _keep(self, test: Any, outcome: str, why: str = "") -> None:
        name = getattr(test, "test_data", {}).get("name") or str(test)
        self.outcomes.setdefault(name, [outcome, why])

    def addSuccess(self, test: Any) -> None:
        self._keep(test, "passed")

    addExpectedFailure = addSuccess

    def addFailure(self, test: Any, err: Any) -> None:
        self._keep(test, "failed", f"{err[1]}")

    def addError(self, test: Any, err: Any) -> None:
        self._keep(test, "failed", f"{err[0].__name__}: {err[1]}")

    def addSkip(self, test: Any, reason: str) -> None:
        self._keep(test, "skipped", reason)

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._keep(test, "failed", "it was expected to fail")


if __name__ == "__main__":
    print(json.dumps(judged(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
