"""POST of Neutron's collections: one, or many in one call, all of them or none."""

from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.dialect import Handler
from gateway.openstack.faults import Refusal
from mesh.errors import CloudError

_OWNER = ("project_id", "tenant_id")


def creating(noun: str, nouns: str, create: Handler, delete: Handler) -> Handler:
    """A handler that takes both. `create` makes one of a body named `noun`; `delete` unmakes it by `id`."""

    async def handler(call: Call) -> Any:
        document = await call.json()
        many = document.get(nouns) if isinstance(document, dict) else None
        if many is None:
            return await create(call.saying(await _owned(call, document, noun), **call.params))
        if not isinstance(many, list) or not many:
            raise Refusal(400, f"{nouns} must be a list of one or more.")
        made: list[dict[str, Any]] = []
        try:
            for one in many:
                answer: Any = await create(call.saying(await _owned(call, {noun: one}, noun)))
                made.append(answer[noun])
        except (CloudError, Refusal):
            for one in reversed(made):
                await delete(call.saying(None, id=one["id"]))
            raise
        return {nouns: made}

    return handler


async def _owned(call: Call, document: Any, noun: str) -> Any:
    """The body with an owner where that is another project than the caller's: then the system makes it."""
    given = document.get(noun) if isinstance(document, dict) else None
    if not isinstance(given, dict) or not any(name in given for name in _OWNER):
        return document
    others = {given[name] for name in _OWNER if given.get(name) not in (None, "", call.project_id)}
    if len(others) > 1:
        raise Refusal(400, "'project_id' and 'tenant_id' name two projects.")
    owner = {"project_id": others.pop()} if others else {}
    if owner:
        await call.administer()
    return {noun: {name: value for name, value in given.items() if name not in _OWNER} | owner}
