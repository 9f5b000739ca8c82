"""Versions and schemas of the image service."""

from typing import Any

from starlette.responses import Response

from gateway.openstack import versions as told
from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.image import documents

# The newest whose additions (hidden images, of 2.7) are all there.
_VERSION = "v2.7"
_TEXT: dict[str, Any] = {"type": ["null", "string"]}
_MEMBER = {name: {"type": "string"} for name in ("image_id", "member_id", "status", "schema")}


async def versions(call: Call) -> dict[str, Any]:
    """GET /versions."""
    return {"versions": [told.plain(call, _VERSION, "/v2/")]}


async def choices(call: Call) -> Response:
    """GET /."""
    return told.choice(await versions(call))


async def schema(call: Call) -> dict[str, Any]:
    """GET /v2/schemas/{name}."""
    match call.params["name"]:
        case "image":
            return _image()
        case "images":
            return _many("images", _image())
        case "member":
            return _member()
        case "members":
            return _many("members", _member())
        case name:
            raise Refusal(404, f"There is no schema {name}.")


def _image() -> dict[str, Any]:
    read_only = {name: {**_TEXT, "readOnly": True} for name in sorted(documents.READ_ONLY)}
    numbers = {name: {"type": "integer"} for name in ("min_disk", "min_ram")}
    choices = {"visibility": documents.VISIBILITIES, "disk_format": documents.FORMATS}
    enums = {name: {"type": "string", "enum": sorted(words)} for name, words in choices.items()}
    tags = {"type": "array", "items": {"type": "string", "maxLength": 255}}
    flags = {name: {"type": "boolean"} for name in ("protected", "os_hidden")}
    properties = {"name": _TEXT, "tags": tags, "owner": _TEXT, **numbers, **enums, **flags, **read_only}
    return {"name": "image", "properties": properties, "additionalProperties": {"type": "string"}}


def _member() -> dict[str, Any]:
    return {"name": "member", "properties": _MEMBER}


def _many(name: str, one: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "properties": {name: {"type": "array", "items": one}}}
