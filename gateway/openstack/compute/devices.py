"""What a new server boots from and is connected to, in the words of the contract."""

from collections.abc import Mapping
from typing import Any

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.limits import whole
from weft.compute.v1 import server_service_pb2 as pb

_DEVICE = {
    *("source_type", "destination_type", "uuid", "boot_index", "volume_size", "delete_on_termination"),
    *("device_name", "device_type", "disk_bus", "guest_format", "no_device", "tag", "volume_type"),
}


_SOURCES = ("blank", "image", "snapshot", "volume")


def boot(given: Mapping[str, Any], request: pb.CreateServerRequest) -> None:
    """Lay `imageRef` and `block_device_mapping_v2` into the request. Raises Refusal."""
    image = body.field(given, "imageRef", str, "")
    devices = body.field(given, "block_device_mapping_v2", list, [])
    for device in devices:
        if not isinstance(device, dict):
            raise Refusal(400, "block_device_mapping_v2: must be a list of objects.")
        body.refuse_unknown(device, _DEVICE)
        _device(device, image, request)
    if request.WhichOneof("boot_source") is None:
        if not image:
            raise Refusal(400, "Boot from something: give imageRef, or a device with boot_index 0.")
        request.image_id = image


def _device(device: Mapping[str, Any], image: str, request: pb.CreateServerRequest) -> None:
    kind = body.field(device, "source_type", str, "volume")
    target = body.field(device, "destination_type", str, "volume" if kind == "volume" else "local")
    if kind not in _SOURCES or target not in ("local", "volume"):
        raise Refusal(400, f"block_device_mapping_v2: there is no {target!r:.40} device from {kind!r:.40}.")
    index, id = device.get("boot_index"), body.field(device, "uuid", str, "")
    first = index is not None and whole(index, "boot_index") == 0
    ends = body.truth(device.get("delete_on_termination") or False, "delete_on_termination")
    for name in ("tag", "volume_type", "guest_format"):
        if device.get(name):
            raise Refusal(501, f"block_device_mapping_v2.{name}: devices of new servers have none.")
    match (kind, target, first):
        case ("image", "local", True) if not image or image == id:
            request.image_id = id
        case ("image", "volume", True):
            size = whole(device.get("volume_size") or 0, "volume_size", 0)
            request.new_volume.CopyFrom(
                pb.NewBootVolume(image_id=id, size_gib=size, delete_on_termination=ends)
            )
        case ("volume", "volume", True):
            request.volume_id, request.delete_volume_on_termination = id, ends
        case ("volume", "volume", False):
            request.volumes.add(volume_id=id, delete_on_termination=ends)
        case _:
            raise Refusal(501, f"A {target} device from {kind} is not to be had: make the volume first.")


def networks(call: Call, given: Mapping[str, Any], request: pb.CreateServerRequest) -> None:
    """Lay `networks` into the request: a list, `auto` or `none`. Raises Refusal."""
    wanted = given.get("networks")
    if call.microversion >= (2, 37):
        if wanted is None:
            raise Refusal(400, "networks is a required property: a list, auto or none.")
        if wanted in ("auto", "none"):
            request.no_network = wanted == "none"
            return
    for one in body.field(given, "networks", list, []):
        if not isinstance(one, dict):
            raise Refusal(400, "networks: must be a list of objects.")
        body.refuse_unknown(one, {"uuid", "port", "fixed_ip", "tag"})
        if one.get("tag"):
            raise Refusal(501, "networks.tag: ports of new servers have no tags.")
        port, network = body.field(one, "port", str, ""), body.field(one, "uuid", str, "")
        # Nova: a port is on its own network, whatever else is said.
        fixed = body.field(one, "fixed_ip", str, "")
        request.networks.add(port_id=port, network_id="" if port else network, fixed_ip=fixed)
