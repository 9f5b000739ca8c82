"""Documents of flavors."""

from typing import Any

from gateway.openstack.call import Call, Reader
from weft.compute.v1.resources_pb2 import Flavor


def flavor(call: Call, one: Flavor) -> dict[str, Any]:
    """In full; swap is not to be had."""
    path = f"flavors/{one.id}"
    document = {
        "id": one.id,
        "name": one.name,
        "ram": one.memory_mib,
        "disk": one.disk_gib,
        "vcpus": one.vcpus,
        "swap": 0 if call.microversion >= (2, 75) else "",
        "rxtx_factor": 1.0,
        "OS-FLV-EXT-DATA:ephemeral": one.ephemeral_gib,
        "OS-FLV-DISABLED:disabled": one.disabled,
        "os-flavor-access:is_public": one.public,
        "links": [
            {"rel": "self", "href": call.url(f"/v2.1/{path}")},
            {"rel": "bookmark", "href": call.url(f"/{path}")},
        ],
    }
    if call.microversion >= (2, 55):
        document["description"] = one.description or None
    if call.microversion >= (2, 61):
        document["extra_specs"] = dict(one.extra_specs)
    return document


def of_server(reader: Reader, one: Flavor) -> dict[str, Any]:
    """The flavor in a server's document: its link, and from 2.47 on what it was when the server was made."""
    if reader.microversion < (2, 47):
        return {"id": one.id, "links": [{"rel": "bookmark", "href": reader.url(f"/flavors/{one.id}")}]}
    return {
        "vcpus": one.vcpus,
        "ram": one.memory_mib,
        "disk": one.disk_gib,
        "ephemeral": one.ephemeral_gib,
        "swap": 0,
        "original_name": one.name,
        "extra_specs": dict(one.extra_specs),
    }
