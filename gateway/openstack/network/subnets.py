"""Subnets."""

from ipaddress import ip_network
from typing import Any

from gateway.openstack import call as body
from gateway.openstack.faults import Refusal
from gateway.openstack.fields import Field
from gateway.openstack.network.common import common
from gateway.openstack.network.resource import SHARED, Resource
from weft.network.v1 import resources_pb2
from weft.network.v1 import subnet_service_pb2 as messages
from weft.network.v1.subnet_service_pb2_grpc import SubnetServiceStub


def _pools(given: list[Any]) -> list[resources_pb2.AllocationPool]:
    return [
        resources_pb2.AllocationPool(start=body.field(pool, "start", str), end=body.field(pool, "end", str))
        for pool in given
    ]


def _addresses(cidr: str) -> str:
    """Any address of a subnet, with the length of its prefix, names it."""
    try:
        return str(ip_network(cidr, strict=False)) if "/" in cidr else cidr
    except ValueError:
        return cidr  # the service says what is wrong with it


def routes(given: list[Any]) -> list[resources_pb2.HostRoute]:
    """Routes, as subnets and routers have them."""
    return [
        resources_pb2.HostRoute(
            destination=body.field(route, "destination", str), next_hop=body.field(route, "nexthop", str)
        )
        for route in given
    ]


_BOTH = {
    **SHARED,
    "gateway_ip": Field("gateway_ip", str),
    "dns_nameservers": Field("dns_nameservers", list, body.strings),
    "allocation_pools": Field("allocation_pools", list, _pools),
    "host_routes": Field("host_routes", list, routes),
}
_CREATE = {
    **_BOTH,
    "network_id": Field("network_id", str),
    "cidr": Field("cidr", str, _addresses),
    "enable_dhcp": Field("dhcp_disabled", bool, lambda enabled: not enabled),
}
_UPDATE = {**_BOTH, "enable_dhcp": Field("dhcp_enabled", bool)}


def view(subnet: resources_pb2.Subnet) -> dict[str, Any]:
    """As Neutron shows it."""
    return common(subnet) | {
        "name": subnet.name,
        "network_id": subnet.network_id,
        "ip_version": subnet.ip_version,
        "cidr": subnet.cidr,
        "gateway_ip": subnet.gateway_ip or None,
        "enable_dhcp": subnet.dhcp_enabled,
        "dns_nameservers": list(subnet.dns_nameservers),
        "allocation_pools": [{"start": pool.start, "end": pool.end} for pool in subnet.allocation_pools],
        "host_routes": [
            {"destination": route.destination, "nexthop": route.next_hop} for route in subnet.host_routes
        ],
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "subnetpool_id": None,
        "service_types": [],
        "tags": list(subnet.tags),
    }


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    """A gateway of null is none; a missing one is the first address. The version must be the network's."""
    cidr, version = body.field(given, "cidr", str), body.field(given, "ip_version", int)
    if version != (6 if ":" in cidr else 4):
        raise Refusal(400, f"ip_version: {version} is not that of {cidr}.")
    return {"no_gateway": "gateway_ip" in given and given["gateway_ip"] is None}


SUBNETS = Resource(
    resources_pb2.Subnet, SubnetServiceStub, messages, "subnet", view,
    creates=_CREATE, updates=_UPDATE, others=frozenset({"ip_version"}), also=_checked,
)  # fmt: skip
ROUTES = SUBNETS.routes()
