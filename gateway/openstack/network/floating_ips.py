"""Floating IPs."""

from typing import Any

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.fields import Field, changes, read
from gateway.openstack.network.common import common
from gateway.openstack.network.creating import creating
from gateway.openstack.network.listing import listing, selected
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
        "tags": [],
    }


async def index(call: Call) -> dict[str, Any]:
    """GET /floatingips."""
    rpc = call.stub(FloatingIpServiceStub).ListFloatingIps
    return await listing(call, rpc, messages.ListFloatingIpsRequest(), "floating_ips", "floatingips", view)


async def show(call: Call) -> dict[str, Any]:
    """GET /floatingips/{id}."""
    request = messages.GetFloatingIpRequest(id=call.params["id"])
    floating = await call.stub(FloatingIpServiceStub).GetFloatingIp(request)
    return {"floatingip": selected(call, view(floating))}


async def create(call: Call) -> dict[str, Any]:
    """POST /floatingips."""
    given = await call.body("floatingip")
    body.refuse_unknown(given, set(_CREATE))
    request = messages.CreateFloatingIpRequest(**read(given, _CREATE))
    return {"floatingip": view(await call.stub(FloatingIpServiceStub).CreateFloatingIp(request))}


async def update(call: Call) -> dict[str, Any]:
    """PUT /floatingips/{id}; null as port takes it away from its port."""
    values, mask = changes(await call.body("floatingip"), _UPDATE)
    request = messages.UpdateFloatingIpRequest(
        id=call.params["id"], floating_ip=resources_pb2.FloatingIp(**values), update_mask=mask
    )
    return {"floatingip": view(await call.stub(FloatingIpServiceStub).UpdateFloatingIp(request))}


async def delete(call: Call) -> None:
    """DELETE /floatingips/{id}."""
    request = messages.DeleteFloatingIpRequest(id=call.params["id"])
    await call.stub(FloatingIpServiceStub).DeleteFloatingIp(request)


ROUTES = (
    Route("GET", "/v2.0/floatingips", index),
    Route("POST", "/v2.0/floatingips", creating("floatingip", "floatingips", create, delete), 201),
    Route("GET", "/v2.0/floatingips/{id}", show),
    Route("PUT", "/v2.0/floatingips/{id}", update),
    Route("DELETE", "/v2.0/floatingips/{id}", delete, 204),
)
