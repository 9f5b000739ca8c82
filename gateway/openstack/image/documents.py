"""An image as Glance shows it, and what may be said of one."""

from collections.abc import Mapping
from typing import Any

from gateway.openstack import times
from gateway.openstack.faults import Refusal
from weft.image.v1 import resources_pb2 as pb

FORMATS = {"raw": pb.DISK_FORMAT_RAW, "qcow2": pb.DISK_FORMAT_QCOW2, "iso": pb.DISK_FORMAT_ISO}
VISIBILITIES = {
    "private": pb.VISIBILITY_PRIVATE,
    "shared": pb.VISIBILITY_SHARED,
    "public": pb.VISIBILITY_PUBLIC,
    "community": pb.VISIBILITY_COMMUNITY,
}
MEMBER_STATUSES = {
    "pending": pb.MEMBER_STATUS_PENDING,
    "accepted": pb.MEMBER_STATUS_ACCEPTED,
    "rejected": pb.MEMBER_STATUS_REJECTED,
}
STATUSES = {
    "queued": pb.IMAGE_STATUS_QUEUED,
    "saving": pb.IMAGE_STATUS_SAVING,
    "importing": pb.IMAGE_STATUS_IMPORTING,
    "active": pb.IMAGE_STATUS_ACTIVE,
    "deactivated": pb.IMAGE_STATUS_DEACTIVATED,
    "pending_delete": pb.IMAGE_STATUS_DELETING,
}
WEB_DOWNLOAD = "web-download"
IMPORT_METHODS = (WEB_DOWNLOAD,)
_ADDRESSES = {"self", "file", "schema", "direct_url", "locations"}
_TOLD = {"id", "status", "created_at", "updated_at", "checksum", "size", "virtual_size"}
READ_ONLY = frozenset({"os_hash_algo", "os_hash_value"} | _ADDRESSES | _TOLD)
# Names of Glance for fields of the contract that may change, with their types.
FIELDS: dict[str, tuple[str, type]] = {
    "name": ("name", str),
    "visibility": ("visibility", str),
    "min_disk": ("min_disk_gib", int),
    "min_ram": ("min_memory_mib", int),
    "protected": ("protected", bool),
    "os_hidden": ("hidden", bool),
    "tags": ("tags", list),
}
# What Glance's own properties are called besides those.
BASE = READ_ONLY | set(FIELDS) | {"owner", "disk_format", "container_format"}
_FORMAT_NAMES = {number: name for name, number in FORMATS.items()}
_VISIBILITY_NAMES = {number: name for name, number in VISIBILITIES.items()}
_STATUS_NAMES = {number: name for name, number in STATUSES.items()}


def document(image: pb.Image) -> dict[str, Any]:
    """The whole of it. There is no checksum: it would be MD5, and the SHA-512 says as much."""
    there = bool(image.sha512)
    return {
        **image.properties,
        "id": image.id,
        "name": image.name or None,
        "status": _STATUS_NAMES[image.status],
        "visibility": _VISIBILITY_NAMES[image.visibility],
        "owner": image.project_id,
        "protected": image.protected,
        "os_hidden": image.hidden,
        "disk_format": _FORMAT_NAMES[image.disk_format],
        "container_format": "bare",
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_memory_mib,
        "size": image.size_bytes if there else None,
        "virtual_size": image.virtual_size_bytes if there else None,
        "checksum": None,
        "os_hash_algo": "sha512" if there else None,
        "os_hash_value": image.sha512 or None,
        "tags": list(image.tags),
        "created_at": times.seconds(image.created_at),
        "updated_at": times.seconds(image.updated_at),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }


def check_changeable(name: str) -> None:
    """Raises Refusal for what a body may not say: what is Glance's to say, or kept for its own use."""
    if (name in READ_ONLY and name != "id") or name.startswith("os_glance_"):
        raise Refusal(403, f"Attribute '{name}' is read-only.")


def known(name: str, value: Any, words: Mapping[str, Any]) -> Any:
    """What a word stands for. Raises Refusal for one that is not known."""
    if not isinstance(value, str) or value not in words:
        raise Refusal(400, f"{name}: {value!r} is none of {', '.join(words)}.")
    return words[value]


def checked(name: str, value: Any) -> Any:
    """The value of a changeable field as the contract has it. Raises Refusal."""
    kind = FIELDS[name][1]
    if value is None and name == "name":
        return ""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Refusal(400, f"{name}: {value!r} is not of type {kind.__name__}.")
    if kind is list and not all(isinstance(each, str) for each in value):
        raise Refusal(400, f"{name}: must be a list of strings.")
    return known(name, value, VISIBILITIES) if name == "visibility" else value


def text(name: str, value: Any) -> str:
    """The value of a free property. Raises Refusal where it is no text."""
    if not isinstance(value, str):
        raise Refusal(400, f"{name}: {value!r} is not a string.")
    return value
