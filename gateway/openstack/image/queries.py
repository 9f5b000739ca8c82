"""What a list of images is filtered and sorted by."""

from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.image import documents
from weft.image.v1 import image_service_pb2 as pb

_NOT_FILTERS = frozenset(
    ["limit", "marker", "sort", "sort_key", "sort_dir", "tag", "os_hidden", "member_status"]
)
_IN = "in:"
# An image that is not there yet has no size: it sorts before all that have one.
_SORTABLE = frozenset(
    {"name", "status", "disk_format", "container_format", "size", "id", "owner"}
    | {"created_at", "updated_at", "min_disk", "min_ram"}
)


def request(call: Call) -> pb.ListImagesRequest:
    """What the contract itself can filter by."""
    asked = pb.ListImagesRequest(tags=list(dict.fromkeys(call.queries("tag"))))
    asked.hidden = call.flag("os_hidden") or False
    status, visibility = call.query.get("status", ""), call.query.get("visibility", "all")
    if status and not status.startswith(_IN):
        asked.status = documents.known("status", status, documents.STATUSES)
    if visibility != "all":
        asked.visibility = documents.known("visibility", visibility, documents.VISIBILITIES)
    answered, known = call.query.get("member_status", ""), documents.MEMBER_STATUSES
    if answered == "all":
        asked.member_statuses.extend(known.values())
    elif answered:
        asked.member_statuses.append(documents.known("member_status", answered, known))
    name = call.query.get("name", "")
    if not name.startswith(_IN):
        asked.name = name
    return asked


def matches(call: Call, document: dict[str, Any]) -> bool:
    """Whether a document is what the other parameters ask for; those may name free properties."""
    return all(
        _matches(document, name, wanted)
        for name, wanted in call.query.items()
        if name not in _NOT_FILTERS and (name, wanted) != ("visibility", "all")
    )


def ordered(call: Call, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorted by every key asked for, the first one counting most; by id where all are alike."""
    found = sorted(found, key=lambda each: each["id"])
    for key, descending in reversed(_order(call)):
        found.sort(key=lambda each: (each[key] is not None, each[key]), reverse=descending)
    return found


def _order(call: Call) -> list[tuple[str, bool]]:
    if "sort" in call.query:
        parts = [part.partition(":") for part in call.query["sort"].split(",")]
        order = [(key.strip(), way or "desc") for key, _, way in parts]
    else:
        keys, ways = call.queries("sort_key") or ["created_at"], call.queries("sort_dir") or ["desc"]
        ways = ways * len(keys) if len(ways) == 1 else ways
        if len(keys) != len(ways):
            raise Refusal(400, "There must be one sort_dir, or one for each sort_key.")
        order = list(zip(keys, ways, strict=True))
    for key, way in order:
        if key not in _SORTABLE or way not in ("asc", "desc"):
            raise Refusal(400, f"Images cannot be sorted by {key}:{way}.")
    return [(key, way == "desc") for key, way in order]


def _matches(document: dict[str, Any], name: str, wanted: str) -> bool:
    if name in ("size_min", "size_max"):
        return _in_size(document["size"], name, wanted)
    value = document.get(name)
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    if wanted.startswith(_IN):
        return str(value) in [each.strip('"') for each in wanted.removeprefix(_IN).split(",")]
    return value is not None and str(value) == wanted


def _in_size(size: int | None, name: str, wanted: str) -> bool:
    if not wanted.isdecimal():
        raise Refusal(400, f"{name}: {wanted!r} is not a number of bytes.")
    if size is None:
        return False
    return size >= int(wanted) if name == "size_min" else size <= int(wanted)
