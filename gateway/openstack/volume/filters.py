"""What volumes are listed by."""

from collections.abc import Mapping

import orjson

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.volume.views import ZONE, status
from weft.block.v1 import resources_pb2
from weft.block.v1 import volume_service_pb2 as pb

VOLUMES = {
    *("name", "display_name", "status", "bootable", "availability_zone", "metadata", "volume_type"),
    *("volume_type_id", "project_id", "user_id", "id", "size", "name~", "multiattach", "migration_status"),
}


def zone(name: str) -> str:
    """A zone as the contracts name it."""
    return "" if name == ZONE else name


def request(call: Call, given: Mapping[str, str]) -> pb.ListVolumesRequest:
    """What of the filters the contract has itself."""
    project_id = given.get("project_id", "") if call.administers else ""
    name = given.get("name", given.get("display_name", ""))
    return pb.ListVolumesRequest(name=name[:255], project_id=project_id)


def fits(one: resources_pb2.Volume, given: Mapping[str, str], types: Mapping[str, str]) -> bool:
    """Whether a volume is as the filters say."""
    known = {
        "name": one.name,
        "display_name": one.name,
        "status": status(one.status),
        "bootable": "true" if one.bootable else "false",
        "availability_zone": one.availability_zone or ZONE,
        "volume_type": types.get(one.volume_type_id, one.volume_type_id),
        "volume_type_id": one.volume_type_id,
        "project_id": one.project_id,
        "user_id": one.user_id,
        "id": one.id,
        "size": str(one.size_gib),
        "multiattach": "false",
        "migration_status": "",
    }
    for name, value in given.items():
        if name == "metadata":
            if not pairs(value).items() <= dict(one.metadata).items():
                return False
        elif name.endswith("~"):
            if value not in known[name[:-1]]:
                return False
        elif known[name] != (value.lower() if name in ("bootable", "multiattach", "status") else value):
            return False
    return True


def pairs(text: str) -> dict[str, str]:
    """Metadata as a query has it: a dictionary as JSON, or as Python writes one. Raises Refusal."""
    for candidate in (text, text.replace("'", '"')):
        try:
            found = orjson.loads(candidate)
        except orjson.JSONDecodeError:
            continue
        if isinstance(found, dict):
            return {str(key): str(value) for key, value in found.items()}
    raise Refusal(400, f"metadata: {text!r} is not a dictionary.")
