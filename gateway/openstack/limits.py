"""Quotas: limits of the identity service under OpenStack's names, beside what is used."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from mesh.errors import CloudError
from mesh.lists import walk
from weft.identity.v1 import limit_service_pb2
from weft.identity.v1.limit_service_pb2_grpc import LimitServiceStub
from weft.identity.v1.resources_pb2 import Limit

# Which must name a project to be one of a project's own.
Usage = Callable[[Call, str], Awaitable[Mapping[str, int]]]


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quota set of one service.

    `names` maps OpenStack's names to ours, `fixed` those that weft has no limit for to what holds instead;
    `usage` counts, by our names; `unset` is the status of taking a project's own away.
    """

    service: str
    path: str
    names: Mapping[str, str]
    fixed: Mapping[str, int]
    usage: Usage
    unset: int = 200

    def routes(self) -> tuple[Route, ...]:
        """Their routes. Other projects' are for administrators."""
        one = f"{self.path}/{{project_id}}"
        default = f"{self.path.replace('quota-sets', 'quota-class-sets')}/default"
        return (
            Route("GET", default, self._show_default, administers=True),
            Route("PUT", default, self._set_default, administers=True),
            Route("DELETE", one, self.withdraw, self.unset, administers=True),
            Route("GET", one, self._show, administers=True),
            Route("GET", f"{one}/defaults", self._defaults, administers=True),
            Route("GET", f"{one}/detail", self._detail, administers=True),
            Route("PUT", one, self._set, administers=True),
        )

    async def of(self, call: Call, project_id: str) -> dict[str, int]:
        """The limits that hold for a project ("": the caller's own), by OpenStack's names; -1 is none."""
        request = limit_service_pb2.ListLimitsRequest(project_id=project_id, service=self.service)
        rpc = call.stub(LimitServiceStub).ListLimits
        found = {limit.resource: limit.limit async for limit in walk(rpc, request, "limits")}
        return {**self.fixed, **{theirs: found.get(ours, -1) for theirs, ours in self.names.items()}}

    async def used(self, call: Call, project_id: str) -> dict[str, int]:
        """What is used, by OpenStack's names."""
        used = await self.usage(call, project_id)
        return {**dict.fromkeys(self.fixed, 0), **{name: used[ours] for name, ours in self.names.items()}}

    async def _show(self, call: Call) -> dict[str, Any]:
        if call.flag("usage"):
            return await self._detail(call)
        project_id = call.params["project_id"]
        return {"quota_set": {"id": project_id, **await self.of(call, project_id)}}

    async def _detail(self, call: Call) -> dict[str, Any]:
        project_id = call.params["project_id"]
        limits, used = await self.of(call, project_id), await self.used(call, project_id)
        document = {
            name: {"limit": limit, "in_use": used[name], "reserved": 0} for name, limit in limits.items()
        }
        return {"quota_set": {"id": project_id, **document}}

    async def _defaults(self, call: Call) -> dict[str, Any]:
        return {"quota_set": {"id": call.params["project_id"], **await self.of(call, "")}}

    async def set(self, call: Call, project_id: str, wanted: Mapping[str, Any]) -> dict[str, int]:
        """Set limits by OpenStack's names ("": those of all projects); answers all of them.

        Raises Refusal for one that is not ours, unless it is to be what it is anyway.
        """
        wanted = {name: limit for name, limit in wanted.items() if self.fixed.get(name) != limit}
        if unknown := sorted(set(wanted) - set(self.names)):
            raise Refusal(400, f"Additional properties are not allowed: {', '.join(unknown)}.")
        for name in wanted:
            limit = Limit(
                service=self.service,
                resource=self.names[name],
                project_id=project_id,
                limit=whole(wanted[name], name),
            )
            await call.stub(LimitServiceStub).SetLimit(limit_service_pb2.SetLimitRequest(limit=limit))
        return await self.of(call, project_id)

    async def _show_default(self, call: Call) -> dict[str, Any]:
        return {"quota_class_set": {"id": "default", **await self.of(call, "")}}

    async def _set_default(self, call: Call) -> dict[str, Any]:
        given = await call.body("quota_class_set")
        return {"quota_class_set": await self.set(call, "", given)}

    async def withdraw(self, call: Call) -> None:
        """DELETE of a project's own: those of all projects hold for it again."""
        for ours in self.names.values():
            request = limit_service_pb2.UnsetLimitRequest(
                service=self.service, resource=ours, project_id=call.params["project_id"]
            )
            try:
                await call.stub(LimitServiceStub).UnsetLimit(request)
            except CloudError as error:
                if error.reason != "NOT_FOUND":  # it has none of its own
                    raise

    async def _set(self, call: Call) -> dict[str, Any]:
        given = await call.body("quota_set")
        wanted = {name: value for name, value in given.items() if name not in ("force", "tenant_id")}
        return {"quota_set": await self.set(call, call.params["project_id"], wanted)}


def whole(given: Any, name: str, least: int = -1) -> int:
    """A whole number, also one that comes as a string. Raises Refusal."""
    if not isinstance(given, int | str) or isinstance(given, bool):
        raise Refusal(400, f"{name}: {given!r} is not a whole number.")
    text = str(given)
    if not text.removeprefix("-").isdecimal() or len(text) > 10 or not least <= int(text) < 2**31:
        raise Refusal(400, f"{name}: {given!r} is not a whole number of {least} or more.")
    return int(text)
