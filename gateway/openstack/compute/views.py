"""A server's document, as each microversion shows it."""

from functools import lru_cache
from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call, Reader
from gateway.openstack.compute import flavor_views
from gateway.openstack.compute.statuses import said
from gateway.openstack.compute.surroundings import Beside, Surroundings
from weft.compute.v1.resources_pb2 import Server, ServerPort

# The zone without a name, under the name that clients know for it.
ZONE = "nova"
_EXTENDED = ("OS-EXT-", "OS-SRV-", "os-extended-", "config_drive", "key_name", "security_groups")


def links(reader: Call | Reader, path: str) -> list[dict[str, str]]:
    """A thing's links."""
    return [
        {"rel": "self", "href": reader.url(f"/v2.1/{path}")},
        {"rel": "bookmark", "href": reader.url(f"/{path}")},
    ]


def changed(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    """What is shown of one that was just changed: until 2.75 without what extensions had brought, which of
    addresses is all but themselves.
    """
    if call.microversion >= (2, 75):
        return document
    left = {name: value for name, value in document.items() if not name.startswith(_EXTENDED)}
    return left | {"addresses": {name: bare(listed) for name, listed in document["addresses"].items()}}


def bare(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Addresses without what more is told of them."""
    return [{name: each[name] for name in ("version", "addr")} for each in listed]


def brief(document: dict[str, Any]) -> dict[str, Any]:
    """What a list that is not in detail shows."""
    return {name: document[name] for name in ("id", "name", "links")}


def server(call: Call, one: Server, near: Surroundings) -> dict[str, Any]:
    """In full: made once of the same, and so not to be changed by whom it is given to."""
    return _server(one.SerializeToString(), near.of(one), call.reader)


@lru_cache(maxsize=2048)  # of some 6 KB each
def _server(content: bytes, beside: Beside, reader: Reader) -> dict[str, Any]:
    one = Server.FromString(content)
    state = said(one.status)
    document = {
        "id": one.id,
        "name": one.name,
        "status": state.status,
        "tenant_id": one.project_id,
        "user_id": one.user_id,
        "metadata": dict(one.metadata),
        "hostId": one.host_fingerprint,
        "image": {"id": one.image_id, "links": links(reader, f"images/{one.image_id}")[1:]}
        if one.image_id
        else "",
        "flavor": flavor_views.of_server(reader, one.flavor),
        "created": times.seconds(one.created_at),
        "updated": times.seconds(one.updated_at),
        "addresses": addresses(one, beside),
        "accessIPv4": one.access_ipv4,
        "accessIPv6": one.access_ipv6,
        "links": links(reader, f"servers/{one.id}"),
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": one.availability_zone or ZONE,
        "config_drive": "True" if one.config_drive else "",
        "key_name": one.key_name or None,
        "OS-SRV-USG:launched_at": (times.bare(one.launched_at) if one.HasField("launched_at") else None),
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": state.task,
        "OS-EXT-STS:vm_state": state.vm_state,
        "OS-EXT-STS:power_state": state.power,
        "os-extended-volumes:volumes_attached": _volumes(reader, one),
    }
    if beside.groups:
        document["security_groups"] = [{"name": name} for name in beside.groups]
    if state.status in ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE"):
        document["progress"] = 0 if state.status == "BUILD" else 100
    if state.status == "ERROR":
        document["fault"] = {
            "code": 500,
            "created": times.seconds(one.updated_at),
            "message": one.status_reason or "error",
        }
    return document | _for_administrators(one) | _added(reader, one)


def addresses(one: Server, beside: Beside) -> dict[str, list[dict[str, Any]]]:
    """By the names of networks; those of floating IPs beside those that they lead to."""
    found: dict[str, list[dict[str, Any]]] = {}
    for port, name, floating in zip(one.ports, beside.networks, beside.floating, strict=True):
        listed = found.setdefault(name, [])
        listed += [_address(port, address, "fixed") for address in port.fixed_ips]
        listed += [_address(port, address, "floating") for address in floating]
    return found


def _address(port: ServerPort, address: str, kind: str) -> dict[str, Any]:
    return {
        "version": 6 if ":" in address else 4,
        "addr": address,
        "OS-EXT-IPS:type": kind,
        "OS-EXT-IPS-MAC:mac_addr": port.mac_address,
    }


def _volumes(reader: Reader, one: Server) -> list[dict[str, Any]]:
    more = reader.microversion >= (2, 3)
    return [
        {"id": volume.volume_id, **({"delete_on_termination": volume.delete_on_termination} if more else {})}
        for volume in one.volumes
    ]


def _for_administrators(one: Server) -> dict[str, Any]:
    if not one.host_id:  # which tenants are not told
        return {}
    return {
        "OS-EXT-SRV-ATTR:host": one.host_name,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": one.host_name,
        "OS-EXT-SRV-ATTR:instance_name": one.id,
    }


def _added(reader: Reader, one: Server) -> dict[str, Any]:
    version, added = reader.microversion, dict[str, Any]()
    if version >= (2, 9):
        added["locked"] = one.HasField("lock")
    if version >= (2, 19):
        added["description"] = one.description or None
    if version >= (2, 26):
        added["tags"] = list(one.tags)
    if version >= (2, 63):
        added["trusted_image_certificates"] = None
    if version >= (2, 71) and reader.alone:
        added["server_groups"] = [one.server_group_id] if one.server_group_id else []
    if version >= (2, 73):
        added["locked_reason"] = one.lock.reason or None
    if version >= (2, 96):
        added["pinned_availability_zone"] = one.availability_zone or None
    return added
