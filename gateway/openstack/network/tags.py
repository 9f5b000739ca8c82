"""Tags of Neutron's resources, all of one and one by one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal


@dataclass(frozen=True)
class Tags:
    """`get` answers the resource that the path names; `change` gives it other tags, and answers it."""

    get: Callable[[Call], Awaitable[Any]]
    change: Callable[[Call, list[str]], Awaitable[Any]]

    def routes(self, path: str) -> tuple[Route, ...]:
        """Their routes, below that of the resource."""
        one = f"{path}/tags/{{tag}}"
        return (
            Route("GET", f"{path}/tags", self.show),
            Route("PUT", f"{path}/tags", self.replace),
            Route("DELETE", f"{path}/tags", self.clear, 204),
            Route("GET", one, self.check, 204),
            Route("PUT", one, self.add, 201),
            Route("DELETE", one, self.remove, 204),
        )

    async def show(self, call: Call) -> dict[str, Any]:
        """GET …/tags."""
        return {"tags": list((await self.get(call)).tags)}

    async def replace(self, call: Call) -> dict[str, Any]:
        """PUT …/tags."""
        given = body.strings(body.field(await call.body(), "tags", list))
        return {"tags": list((await self.change(call, list(dict.fromkeys(given)))).tags)}

    async def clear(self, call: Call) -> None:
        """DELETE …/tags."""
        await self.change(call, [])

    async def check(self, call: Call) -> None:
        """GET …/tags/{tag}."""
        await self._there(call)

    async def add(self, call: Call) -> Response:
        """PUT …/tags/{tag}."""
        found, tag = await self.get(call), call.params["tag"]
        if tag not in found.tags:
            await self.change(call, [*found.tags, tag])
        return Response(status_code=201)

    async def remove(self, call: Call) -> None:
        """DELETE …/tags/{tag}."""
        tags = await self._there(call)
        await self.change(call, [each for each in tags if each != call.params["tag"]])

    async def _there(self, call: Call) -> list[str]:
        tags = list((await self.get(call)).tags)
        if call.params["tag"] not in tags:
            raise Refusal(404, f"Tag {call.params['tag']} could not be found.")
        return tags
