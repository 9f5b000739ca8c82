"""What Neutron's resources have in common: five calls, each one of the contract's standard methods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Handler, Route
from gateway.openstack.fields import Field, Fields, changes, read
from gateway.openstack.network.creating import creating
from gateway.openstack.network.listing import View, listing, selected
from gateway.openstack.network.tags import Tags

Also = Callable[[dict[str, Any]], Mapping[str, Any]]


def _nothing(given: dict[str, Any]) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Resource:
    """`kind` is the contract's message; `stub` and `messages` are its service's, whose methods bear its name.

    `noun` is the document's name in Neutron. `creates` and `updates` tell the fields of a body. What is no
    plain field of a creation is read by `also`, from the fields `others`, into fields of the request.
    """

    kind: type[Message]
    stub: Callable[..., Any]
    messages: ModuleType
    noun: str
    view: View
    creates: Fields
    updates: Fields
    others: frozenset[str] = frozenset()
    also: Also = _nothing

    @property
    def nouns(self) -> str:
        """The list's name in Neutron's documents."""
        return f"{self.noun}s"

    async def index(self, call: Call) -> dict[str, Any]:
        """GET of the collection."""
        rpc = getattr(call.stub(self.stub), f"List{self._name}s")
        request = self._request(f"List{self._name}s")
        return await listing(call, rpc, request, f"{self._field}s", self.nouns, self.view)

    async def show(self, call: Call) -> dict[str, Any]:
        """GET of one."""
        item = await self._asked(call, f"Get{self._name}", id=call.params["id"])
        return {self.noun: selected(call, self.view(item))}

    async def create(self, call: Call) -> dict[str, Any]:
        """POST of one."""
        made_of = self._request(f"Create{self._name}").DESCRIPTOR.fields_by_name
        given, creates = await call.body(self.noun), {**self.creates}
        if "project_id" in made_of:
            creates |= _OWNER
        body.refuse_unknown(given, {*creates, *self.others})
        values = {**read(given, creates), **self.also(given)}
        return {self.noun: self.view(await self._asked(call, f"Create{self._name}", **values))}

    async def update(self, call: Call) -> dict[str, Any]:
        """PUT of one."""
        return {self.noun: self.view(await self.changed(call, await call.body(self.noun)))}

    async def changed(self, call: Call, given: Mapping[str, Any]) -> Any:
        """The resource after the attributes that a body gives."""
        values, mask = changes(given, self.updates)
        said = {"id": call.params["id"], self._field: self.kind(**values), "update_mask": mask}
        return await self._asked(call, f"Update{self._name}", **said)

    async def delete(self, call: Call) -> None:
        """DELETE of one."""
        await self._asked(call, f"Delete{self._name}", id=call.params["id"])

    def routes(self, *, update: Handler | None = None) -> tuple[Route, ...]:
        """The calls, with another `update` where one is given; none where nothing can be updated."""
        path = f"/v2.0/{self.nouns.replace('_', '-')}"
        change = update or (self.update if self.updates else None)
        return (
            Route("GET", path, self.index),
            Route("POST", path, creating(self.noun, self.nouns, self.create, self.delete), 201),
            Route("GET", f"{path}/{{id}}", self.show),
            *([Route("PUT", f"{path}/{{id}}", change)] if change else []),
            Route("DELETE", f"{path}/{{id}}", self.delete, 204),
            *(self._tags().routes(f"{path}/{{id}}") if "tags" in self.kind.DESCRIPTOR.fields_by_name else ()),
        )

    def _tags(self) -> Tags:
        async def get(call: Call) -> Any:
            return await self._asked(call, f"Get{self._name}", id=call.params["id"])

        async def change(call: Call, tags: list[str]) -> Any:
            said = {self._field: self.kind(tags=tags), "update_mask": FieldMask(paths=["tags"])}
            return await self._asked(call, f"Update{self._name}", id=call.params["id"], **said)

        return Tags(get, change)

    @property
    def _name(self) -> str:
        return self.kind.DESCRIPTOR.name

    @property
    def _field(self) -> str:
        """The message's name as fields bear it: `floating_ip` of FloatingIp."""
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in self._name)[1:]

    def _request(self, method: str, **values: Any) -> Any:
        return getattr(self.messages, f"{method}Request")(**values)

    async def _asked(self, call: Call, method: str, **values: Any) -> Any:
        return await getattr(call.stub(self.stub), method)(self._request(method, **values))


# There only where it is another's than the caller's (see creating).
_OWNER: Fields = {"project_id": Field("project_id", str)}
SHARED: Fields = {"name": Field("name", str), "description": Field("description", str)}
