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
            return await create(call.saying(_own(call, document, noun), **call.params))
        if not isinstance(many, list) or not many:
            raise Refusal(400, f"{nouns} must be a list of one or more.")
        made: list[dict[str, Any]] = []
        try:
            for one in many:
                answer: Any = await create(call.saying(_own(call, {noun: one}, noun)))
                made.append(answer[noun])
        except (CloudError, Refusal):
            for one in reversed(made):
                await delete(call.saying(None, id=one["id"]))
            raise
        return {nouns: made}

    return handler


def _own(call: Call, document: Any, noun: str) -> Any:
    """The body without an owner that is the caller's own project anyway. Raises Refusal for another's."""
    given = document.get(noun) if isinstance(document, dict) else None
    if not isinstance(given, dict) or not any(name in given for name in _OWNER):
        return document
    if any(given.get(name) not in (None, "", call.project_id) for name in _OWNER):
        raise Refusal(501, "What is made is the project's own that the token is for.")
    return {noun: {name: value for name, value in given.items() if name not in _OWNER}}
