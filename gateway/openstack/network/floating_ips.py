"""Floating IPs."""

from typing import Any

from gateway.openstack.fields import Field
from gateway.openstack.network.common import common
from gateway.openstack.network.resource import Resource
from weft.network.v1 import floating_ip_service_pb2 as messages
from weft.network.v1 import resources_pb2
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub

_UPDATE = {
    "port_id": Field("port_id", str),
    "fixed_ip_address": Field("fixed_ip", str),
    "description": Field("description", str),
}
_CREATE = {
    **_UPDATE,
    "floating_network_id": Field("network_id", str),
    "floating_ip_address": Field("address", str),
}


def view(floating: resources_pb2.FloatingIp) -> dict[str, Any]:
    """As Neutron shows it."""
    return common(floating) | {
        "floating_network_id": floating.network_id,
        "floating_ip_address": floating.address,
        "port_id": floating.port_id or None,
        "fixed_ip_address": floating.fixed_ip or None,
        "router_id": floating.router_id or None,
        "status": "ACTIVE" if floating.status == resources_pb2.FLOATING_IP_STATUS_ACTIVE else "DOWN",
        "tags": list(floating.tags),
    }


FLOATING_IPS = Resource(
    resources_pb2.FloatingIp,
    FloatingIpServiceStub,
    messages,
    "floatingip",
    view,
    creates=_CREATE,
    updates=_UPDATE,
)
ROUTES = FLOATING_IPS.routes()
