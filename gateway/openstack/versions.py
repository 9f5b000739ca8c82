"""Discovery documents: which version of each service is where."""

from typing import Any

import orjson
from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.dialect import Microversions, Route, text


def identity_root(path: str) -> Route:
    """Keystone's list of versions, which comes as a choice."""

    async def versions(call: Call) -> Response:
        return choice({"versions": {"values": [keystone(call)]}})

    return Route("GET", path, versions, 300)


def keystone(call: Call) -> dict[str, Any]:
    """What Keystone says of its version 3."""
    kind = {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": call.url("/v3/")}],
        "media-types": [kind],
    }


def plain(call: Call, id: str, path: str, status: str = "CURRENT") -> dict[str, Any]:
    """A version without microversions, as Glance and Neutron tell of it."""
    return {"id": id, "status": status, "links": [{"rel": "self", "href": call.url(path)}]}


def micro(
    call: Call, id: str, path: str, known: Microversions | None, status: str = "CURRENT", **more: Any
) -> dict[str, Any]:
    """A version as Nova, Cinder and Placement tell of it; without microversions both ends are empty.

    `more` is what only one of them says.
    """
    return {
        **plain(call, id, path, status),
        "version": text(known.highest) if known else "",
        "min_version": text(known.lowest) if known else "",
        "updated": "2013-07-23T11:33:21Z",
        **more,
    }


def extension(name: str, alias: str, description: str) -> dict[str, Any]:
    """An extension, as Nova and Cinder list what belonged to no version."""
    return {
        "name": name,
        "alias": alias,
        "description": description,
        "links": [],
        "updated": "2013-07-23T11:33:21Z",
    }


def choice(document: dict[str, Any]) -> Response:
    """A document with the status that says that there are several to choose from."""
    return Response(orjson.dumps(document), 300, media_type="application/json")
