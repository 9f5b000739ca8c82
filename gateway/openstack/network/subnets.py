"""Subnets."""

from typing import Any

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.fields import Field, changes, read
from gateway.openstack.network.common import common
from gateway.openstack.network.creating import creating
from gateway.openstack.network.listing import listing, selected
from weft.network.v1 import resources_pb2
from weft.network.v1 import subnet_service_pb2 as messages
from weft.network.v1.subnet_service_pb2_grpc import SubnetServiceStub


def _pools(given: list[Any]) -> list[resources_pb2.AllocationPool]:
    return [
        resources_pb2.AllocationPool(start=body.field(pool, "start", str), end=body.field(pool, "end", str))
        for pool in given
    ]


def routes(given: list[Any]) -> list[resources_pb2.HostRoute]:
    """Routes, as subnets and routers have them."""
    return [
        resources_pb2.HostRoute(
            destination=body.field(route, "destination", str), next_hop=body.field(route, "nexthop", str)
        )
        for route in given
    ]


_BOTH = {
    "name": Field("name", str),
    "description": Field("description", str),
    "gateway_ip": Field("gateway_ip", str),
    "dns_nameservers": Field("dns_nameservers", list, body.strings),
    "allocation_pools": Field("allocation_pools", list, _pools),
    "host_routes": Field("host_routes", list, routes),
}
_CREATE = {
    **_BOTH,
    "network_id": Field("network_id", str),
    "cidr": Field("cidr", str),
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
        "tags": [],
    }


async def index(call: Call) -> dict[str, Any]:
    """GET /subnets."""
    rpc = call.stub(SubnetServiceStub).ListSubnets
    return await listing(call, rpc, messages.ListSubnetsRequest(), "subnets", "subnets", view)


async def show(call: Call) -> dict[str, Any]:
    """GET /subnets/{id}."""
    request = messages.GetSubnetRequest(id=call.params["id"])
    return {"subnet": selected(call, view(await call.stub(SubnetServiceStub).GetSubnet(request)))}


async def create(call: Call) -> dict[str, Any]:
    """POST /subnets."""
    given = await call.body("subnet")
    body.refuse_unknown(given, {*_CREATE, "ip_version"})
    cidr, version = body.field(given, "cidr", str), body.field(given, "ip_version", int)
    if version != (6 if ":" in cidr else 4):
        raise Refusal(400, f"ip_version: {version} is not that of {cidr}.")
    request = messages.CreateSubnetRequest(
        **read(given, _CREATE), no_gateway="gateway_ip" in given and given["gateway_ip"] is None
    )
    return {"subnet": view(await call.stub(SubnetServiceStub).CreateSubnet(request))}


async def update(call: Call) -> dict[str, Any]:
    """PUT /subnets/{id}."""
    values, mask = changes(await call.body("subnet"), _UPDATE)
    request = messages.UpdateSubnetRequest(
        id=call.params["id"], subnet=resources_pb2.Subnet(**values), update_mask=mask
    )
    return {"subnet": view(await call.stub(SubnetServiceStub).UpdateSubnet(request))}


async def delete(call: Call) -> None:
    """DELETE /subnets/{id}."""
    await call.stub(SubnetServiceStub).DeleteSubnet(messages.DeleteSubnetRequest(id=call.params["id"]))


ROUTES = (
    Route("GET", "/v2.0/subnets", index),
    Route("POST", "/v2.0/subnets", creating("subnet", "subnets", create, delete), 201),
    Route("GET", "/v2.0/subnets/{id}", show),
    Route("PUT", "/v2.0/subnets/{id}", update),
    Route("DELETE", "/v2.0/subnets/{id}", delete, 204),
)
