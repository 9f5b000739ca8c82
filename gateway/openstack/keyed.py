"""Free keys of a resource (metadata, extra specs): read, merged, replaced, and one by one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.dialect import Route, administered
from gateway.openstack.faults import Refusal

Keys = Mapping[str, str]
# As the contracts have it for every resource's keys.
MOST = 128


@dataclass(frozen=True, slots=True)
class Keyed:
    """The calls on one resource's keys.

    `noun` names all of them in a body, and in the resource; `single` names one of them ("": the body is the
    key itself), `called` all of them where a body calls them otherwise than the resource. `get` answers the
    resource; `change` gives fields of it new values if it still has the revision, and answers it.
    """

    path: str
    noun: str
    single: str
    get: Callable[[Call], Awaitable[Any]]
    change: Callable[[Call, dict[str, Any], int], Awaitable[Any]]
    deleted: int = 200
    replaces: bool = True
    administers: bool = False
    called: str = ""

    def routes(self) -> tuple[Route, ...]:
        """Their routes."""
        one = f"{self.path}/{{key}}"
        routes = [
            Route("GET", self.path, self._all),
            Route("POST", self.path, self._merge),
            Route("GET", one, self._one),
            Route("PUT", one, self._set),
            Route("DELETE", one, self._remove, self.deleted),
        ]
        if self.replaces:
            routes.append(Route("PUT", self.path, self._replace))
        return administered(routes) if self.administers else tuple(routes)

    @property
    def _name(self) -> str:
        return self.called or self.noun

    async def _all(self, call: Call) -> dict[str, Any]:
        keys, _ = await self._read(call)
        return {self._name: dict(keys)}

    async def _merge(self, call: Call) -> dict[str, Any]:
        given = texts(await call.body(self._name), self._name)
        keys, revision = await self._read(call)
        after = await self._write(call, {**keys, **given}, revision)
        # Extra specs are told as they were given, metadata as it is now.
        return {self._name: dict(after) if self.replaces else given}

    async def _replace(self, call: Call) -> dict[str, Any]:
        given = await call.body(self._name)
        _, revision = await self._read(call)
        return {self._name: dict(await self._write(call, given, revision))}

    async def _one(self, call: Call) -> dict[str, Any]:
        keys, _ = await self._read(call)
        return self._shown(call, keys)

    async def _set(self, call: Call) -> dict[str, Any]:
        key = call.params["key"]
        given = texts(await call.body(self.single), self.single or self.noun)
        if list(given) != [key]:
            raise Refusal(400, f"The body must have the key {key} and no other.")
        keys, revision = await self._read(call)
        return self._shown(call, await self._write(call, {**keys, **given}, revision))

    async def _remove(self, call: Call) -> None:
        keys, revision = await self._read(call)
        key = self._there(call, keys)
        await self._write(call, {name: value for name, value in keys.items() if name != key}, revision)

    async def _read(self, call: Call) -> tuple[Keys, int]:
        found = await self.get(call)
        return getattr(found, self.noun), found.revision

    async def _write(self, call: Call, keys: dict[str, str], revision: int) -> Keys:
        texts(keys, self._name)
        return getattr(await self.change(call, {self.noun: keys}, revision), self.noun)

    def _shown(self, call: Call, keys: Keys) -> dict[str, Any]:
        key = self._there(call, keys)
        return {self.single: {key: keys[key]}} if self.single else {key: keys[key]}

    def _there(self, call: Call, keys: Keys) -> str:
        key = call.params["key"]
        if key not in keys:
            raise Refusal(404, f"There is no key {key!r} in {self.noun}.")
        return key


def texts(given: Mapping[str, Any], name: str) -> dict[str, str]:
    """Keys and values that are all strings, and not too many. Raises Refusal."""
    if len(given) > MOST:
        raise Refusal(403, f"{name}: there may be {MOST} and no more.")
    for key, value in given.items():
        if not isinstance(value, str) or not 0 < len(key) <= 255 or len(value) > 255 or "\0" in key + value:
            raise Refusal(400, f"{name}: {key!r} and its value must be strings of at most 255 characters.")
    return dict(given)
