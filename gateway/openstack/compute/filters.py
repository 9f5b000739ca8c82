"""What servers are listed by."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.compute.statuses import numbers, said
from gateway.openstack.compute.views import ZONE
from gateway.openstack.faults import Refusal
from gateway.openstack.listing import PAGING
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import ListServersRequest

# Nova looks names and addresses up by regular expression; these pieces of one are understood.
_PIECE = re.compile(r"\.\*|\\\.|[^\\.*+?()\[\]{}|^$]|\.")
_TAGS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda asked, there: asked <= there,
    "tags-any": lambda asked, there: bool(asked & there),
    "not-tags": lambda asked, there: not asked <= there,
    "not-tags-any": lambda asked, there: not asked & there,
}
_TIMES = ("changes-since", "changes-before")
_EXACT: dict[str, Callable[[Server], str]] = {
    "uuid": lambda one: one.id,
    "id": lambda one: one.id,
    "user_id": lambda one: one.user_id,
    "project_id": lambda one: one.project_id,
    "tenant_id": lambda one: one.project_id,
    "image": lambda one: one.image_id,
    "flavor": lambda one: one.flavor.id,
    "key_name": lambda one: one.key_name,
    "availability_zone": lambda one: one.availability_zone or ZONE,
    "description": lambda one: one.description,
    "host": lambda one: one.host_name,
    "node": lambda one: one.host_name,
    "vm_state": lambda one: said(one.status).vm_state,
    "task_state": lambda one: said(one.status).task or "",
    "power_state": lambda one: str(said(one.status).power),
    "locked": lambda one: str(one.HasField("lock")).lower(),
    "config_drive": lambda one: str(one.config_drive).lower(),
}
_KNOWN = {*_EXACT, *_TAGS, *_TIMES, "name", "display_name", "hostname", "ip", "ip6", "status", "deleted"}
Fits = Callable[[Server], bool]


def request(call: Call) -> ListServersRequest:
    """What of the filters the contract has itself. Raises Refusal."""
    asked = ListServersRequest()
    if status := call.query.get("status"):
        asked.statuses.extend(numbers(status))
    if since := call.query.get("changes-since"):
        asked.changed_since.CopyFrom(times.read(since))
    return asked


def fits(call: Call) -> Fits:
    """The rest of the filters, as a test of one server. Raises Refusal."""
    given = {name: value for name, value in call.query.items() if name not in PAGING}
    unknown = sorted(set(given) - _KNOWN)
    if unknown and call.microversion >= (2, 75):
        raise Refusal(400, f"Additional properties are not allowed: {', '.join(unknown)}.")
    tests = [test for name, value in given.items() if (test := _test(name, value)) is not None]
    return lambda one: all(test(one) for test in tests)


def _test(name: str, value: str) -> Fits | None:
    if name in _EXACT:
        field, wanted = _EXACT[name], value.lower() if name in ("locked", "config_drive") else value
        return lambda one: field(one) == wanted
    if name in _TAGS:
        rule, tags = _TAGS[name], set(value.split(","))
        return lambda one: rule(tags, set(one.tags))
    match name:
        case "name" | "display_name" | "hostname":
            found = _pattern(value)
            return lambda one: found(one.name)
        case "ip" | "ip6":
            found = _pattern(value)
            return lambda one: any(found(address) for port in one.ports for address in port.fixed_ips)
        case "status":
            return lambda one: said(one.status).status == value.upper()
        case "deleted":
            return None if value.lower() in ("0", "f", "false", "no", "off") else lambda one: False
        case "changes-before":
            ends = times.read(value).ToDatetime(UTC)
            return lambda one: one.updated_at.ToDatetime(UTC) <= ends
    return None


def _pattern(text: str) -> Callable[[str], bool]:
    """A test for a text, `.*` within it, and `^` and `$` at its ends: in time linear in what is tested."""
    middle = text.removeprefix("^").removesuffix("$")
    pieces = _PIECE.findall(middle)
    if "".join(pieces) != middle:
        raise Refusal(400, f"{text!r}: names are found by text, with .* in it and ^ and $ at its ends.")
    parts = "".join({".*": "\0", "\\.": "."}.get(piece, piece) for piece in pieces).split("\0")

    def found(name: str) -> bool:
        if text.startswith("^") and not name.startswith(parts[0]):
            return False
        if text.endswith("$") and not name.endswith(parts[-1]):
            return False
        at = 0
        for part in parts:
            at = name.find(part, at)
            if at < 0:
                return False
            at += len(part)
        return not (text.startswith("^") and text.endswith("$") and len(parts) == 1) or name == parts[0]

    return found


def nothing_fits(call: Call) -> bool:
    """Whether a status is asked for that no server ever has."""
    status: Any = call.query.get("status")
    return bool(status) and not numbers(status)


# Sort keys, and the fields of the document that they are.
SORTS: Mapping[str, str] = {
    "created_at": "created",
    "updated_at": "updated",
    "uuid": "id",
    "display_name": "name",
    "name": "name",
    "vm_state": "OS-EXT-STS:vm_state",
    "task_state": "OS-EXT-STS:task_state",
    "power_state": "OS-EXT-STS:power_state",
    "availability_zone": "OS-EXT-AZ:availability_zone",
    "key_name": "key_name",
    "launched_at": "OS-SRV-USG:launched_at",
    "project_id": "tenant_id",
    "user_id": "user_id",
    "host": "OS-EXT-SRV-ATTR:host",
}
