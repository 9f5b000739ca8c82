"""Networks."""

from typing import Any

from gateway.openstack.faults import Refusal
from gateway.openstack.fields import Field
from gateway.openstack.network.common import common
from gateway.openstack.network.resource import SHARED, Resource
from weft.network.v1 import network_service_pb2 as messages
from weft.network.v1 import resources_pb2
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub

_TYPES = {"vxlan": resources_pb2.NETWORK_TYPE_VXLAN, "flat": resources_pb2.NETWORK_TYPE_FLAT}
_NAMES = {number: name for name, number in _TYPES.items()}


def _type(name: str) -> int:
    if name not in _TYPES:
        raise Refusal(400, f"provider:network_type: {name!r} is not one of {', '.join(_TYPES)}.")
    return _TYPES[name]


_BOTH = {
    **SHARED,
    "mtu": Field("mtu", int),
    "shared": Field("shared", bool),
    "router:external": Field("external", bool),
}
_CREATE = {
    **_BOTH,
    "admin_state_up": Field("admin_state_down", bool, lambda up: not up),
    "port_security_enabled": Field("port_security_disabled", bool, lambda enabled: not enabled),
    "provider:network_type": Field("type", str, _type),
    "provider:physical_network": Field("physical_network", str),
}
_UPDATE = {
    **_BOTH,
    "admin_state_up": Field("admin_state_up", bool),
    "port_security_enabled": Field("port_security_enabled", bool),
}


def view(network: resources_pb2.Network) -> dict[str, Any]:
    """As Neutron shows it. What only administrators see is left out where the contract hides it."""
    document = common(network) | {
        "name": network.name,
        "status": "ACTIVE" if network.admin_state_up else "DOWN",
        "admin_state_up": network.admin_state_up,
        "shared": network.shared,
        "router:external": network.external,
        "mtu": network.mtu,
        "port_security_enabled": network.port_security_enabled,
        "subnets": list(network.subnet_ids),
        "tags": list(network.tags),
        "availability_zones": [],
        "availability_zone_hints": [],
    }
    if network.type:
        document["provider:network_type"] = _NAMES[network.type]
        document["provider:physical_network"] = network.physical_network or None
        document["provider:segmentation_id"] = network.segmentation_id or None
    return document


NETWORKS = Resource(
    resources_pb2.Network, NetworkServiceStub, messages, "network", view, creates=_CREATE, updates=_UPDATE
)
ROUTES = NETWORKS.routes()
