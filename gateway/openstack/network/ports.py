"""Ports."""

from typing import Any

from gateway.openstack import call as body
from gateway.openstack.fields import Field
from gateway.openstack.network.common import common
from gateway.openstack.network.resource import SHARED, Resource
from weft.network.v1 import port_service_pb2 as messages
from weft.network.v1 import resources_pb2
from weft.network.v1.port_service_pb2_grpc import PortServiceStub

_STATUSES = {resources_pb2.PORT_STATUS_ACTIVE: "ACTIVE", resources_pb2.PORT_STATUS_BINDING: "BUILD"}


def _addresses(given: list[Any]) -> list[resources_pb2.FixedIp]:
    return [
        resources_pb2.FixedIp(
            subnet_id=body.field(one, "subnet_id", str, ""), ip_address=body.field(one, "ip_address", str, "")
        )
        for one in given
    ]


def _pairs(given: list[Any]) -> list[resources_pb2.AddressPair]:
    return [
        resources_pb2.AddressPair(
            ip_address=body.field(one, "ip_address", str), mac_address=body.field(one, "mac_address", str, "")
        )
        for one in given
    ]


_BOTH = {
    **SHARED,
    "fixed_ips": Field("fixed_ips", list, _addresses),
    "security_groups": Field("security_group_ids", list, body.strings),
    "allowed_address_pairs": Field("allowed_address_pairs", list, _pairs),
    "device_id": Field("device_id", str),
    "device_owner": Field("device_owner", str),
}
_CREATE = {
    **_BOTH,
    "network_id": Field("network_id", str),
    "mac_address": Field("mac_address", str),
    "admin_state_up": Field("admin_state_down", bool, lambda up: not up),
    "port_security_enabled": Field("port_security_disabled", bool, lambda enabled: not enabled),
}
_UPDATE = {
    **_BOTH,
    "admin_state_up": Field("admin_state_up", bool),
    "port_security_enabled": Field("port_security_enabled", bool),
}


def view(port: resources_pb2.Port) -> dict[str, Any]:
    """As Neutron shows it."""
    document = common(port) | {
        "name": port.name,
        "network_id": port.network_id,
        "mac_address": port.mac_address,
        "fixed_ips": [{"subnet_id": one.subnet_id, "ip_address": one.ip_address} for one in port.fixed_ips],
        "security_groups": list(port.security_group_ids),
        "port_security_enabled": port.port_security_enabled,
        "allowed_address_pairs": [
            {"ip_address": pair.ip_address, "mac_address": pair.mac_address}
            for pair in port.allowed_address_pairs
        ],
        "status": _STATUSES.get(port.status, "DOWN"),
        "admin_state_up": port.admin_state_up,
        "device_owner": port.device_owner,
        "device_id": port.device_id,
        "tags": list(port.tags),
        "extra_dhcp_opts": [],
        "binding:vnic_type": "normal",
    }
    if port.host_id:
        document["binding:host_id"] = port.host_id
    return document


def _groups(given: dict[str, Any]) -> dict[str, Any]:
    """An empty list of security groups is none; a missing one is the default."""
    return {"no_security_groups": given.get("security_groups") == []}


PORTS = Resource(
    resources_pb2.Port,
    PortServiceStub,
    messages,
    "port",
    view,
    creates=_CREATE,
    updates=_UPDATE,
    also=_groups,
)
ROUTES = PORTS.routes()
