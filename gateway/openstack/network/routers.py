"""Routers, their interfaces and gateways."""

from typing import Any

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.fields import Field
from gateway.openstack.network.common import common
from gateway.openstack.network.resource import SHARED, Resource
from gateway.openstack.network.subnets import routes
from weft.network.v1 import resources_pb2
from weft.network.v1 import router_service_pb2 as messages
from weft.network.v1.router_service_pb2_grpc import RouterServiceStub
from weft.network.v1.subnet_service_pb2 import GetSubnetRequest
from weft.network.v1.subnet_service_pb2_grpc import SubnetServiceStub

_CREATE = {**SHARED, "admin_state_up": Field("admin_state_down", bool, lambda up: not up)}
_UPDATE = {
    **SHARED,
    "admin_state_up": Field("admin_state_up", bool),
    "routes": Field("routes", list, routes),
}
_GATEWAY = "external_gateway_info"


def view(router: resources_pb2.Router) -> dict[str, Any]:
    """As Neutron shows it."""
    return common(router) | {
        "name": router.name,
        "status": "ACTIVE",  # whether it is up or not, as Neutron says
        "admin_state_up": router.admin_state_up,
        _GATEWAY: _shown(router.gateway) if router.HasField("gateway") else None,
        "routes": [{"destination": route.destination, "nexthop": route.next_hop} for route in router.routes],
        "ha": False,
        "distributed": False,
        "availability_zones": [],
        "availability_zone_hints": [],
        "flavor_id": None,
        "tags": list(router.tags),
    }


def _shown(gateway: resources_pb2.ExternalGateway) -> dict[str, Any]:
    return {
        "network_id": gateway.network_id,
        "enable_snat": not gateway.HasField("snat_enabled") or gateway.snat_enabled,
        "external_fixed_ips": [{"subnet_id": gateway.subnet_id, "ip_address": gateway.ip_address}],
    }


def _gateway(given: dict[str, Any]) -> resources_pb2.ExternalGateway:
    """The gateway that a body asks for."""
    body.refuse_unknown(given, {"network_id", "enable_snat", "external_fixed_ips"})
    addresses = body.field(given, "external_fixed_ips", list, [])
    if len(addresses) > 1:
        raise Refusal(400, "external_fixed_ips: a router has one external address.")
    gateway = resources_pb2.ExternalGateway(network_id=body.field(given, "network_id", str))
    if "enable_snat" in given:
        gateway.snat_enabled = body.field(given, "enable_snat", bool)
    for address in addresses:
        gateway.ip_address = body.field(address, "ip_address", str, "")
        gateway.subnet_id = body.field(address, "subnet_id", str, "")
    return gateway


def _outside(given: dict[str, Any]) -> dict[str, Any]:
    """The gateway that a router is created with."""
    found = body.field(given, _GATEWAY, dict, {})
    return {"gateway": _gateway(found)} if found else {}


ROUTERS = Resource(
    resources_pb2.Router, RouterServiceStub, messages, "router", view,
    creates=_CREATE, updates=_UPDATE, others=frozenset({_GATEWAY}), also=_outside,
)  # fmt: skip


async def update(call: Call) -> dict[str, Any]:
    """PUT /routers/{id}: attributes by one call of the contract, the gateway by another."""
    given = await call.body("router")
    attributes = {name: value for name, value in given.items() if name != _GATEWAY}
    stub, id = call.stub(RouterServiceStub), call.params["id"]
    router = None
    if attributes or _GATEWAY not in given:
        router = await ROUTERS.changed(call, attributes)
    if _GATEWAY in given:
        gateway = body.field(given, _GATEWAY, dict, {})
        if gateway:
            wanted = messages.SetRouterGatewayRequest(id=id, gateway=_gateway(gateway))
            router = await stub.SetRouterGateway(wanted)
        else:
            router = await stub.ClearRouterGateway(messages.ClearRouterGatewayRequest(id=id))
    return {"router": view(router)}


async def add_interface(call: Call) -> dict[str, Any]:
    """PUT /routers/{id}/add_router_interface."""
    given = await _interface(call)
    request = messages.AddRouterInterfaceRequest(id=call.params["id"], **given)
    return await _told(call, await call.stub(RouterServiceStub).AddRouterInterface(request), given)


async def remove_interface(call: Call) -> dict[str, Any]:
    """PUT /routers/{id}/remove_router_interface; answers what the interface was."""
    given = await _interface(call)
    stub, id = call.stub(RouterServiceStub), call.params["id"]
    before = await stub.GetRouter(messages.GetRouterRequest(id=id))
    told = await _told(call, before, given)
    await stub.RemoveRouterInterface(messages.RemoveRouterInterfaceRequest(id=id, **given))
    return told


async def _interface(call: Call) -> dict[str, str]:
    given = await call.body()
    body.refuse_unknown(given, {"subnet_id", "port_id"})
    if not given:
        raise Refusal(400, "Either subnet_id or port_id must be given.")
    return {name: body.field(given, name, str) for name in given}


async def _told(call: Call, router: resources_pb2.Router, given: dict[str, str]) -> dict[str, Any]:
    document = {"id": router.id, "project_id": router.project_id, "tenant_id": router.project_id, **given}
    for interface in router.interfaces:
        if all(getattr(interface, name) == value for name, value in given.items()):
            request = GetSubnetRequest(id=interface.subnet_id)
            subnet = await call.stub(SubnetServiceStub).GetSubnet(request)
            document |= {
                "port_id": interface.port_id,
                "subnet_id": interface.subnet_id,
                "subnet_ids": [interface.subnet_id],
                "network_id": subnet.network_id,
                "tags": list(router.tags),
            }
    return document


ROUTES = (
    *ROUTERS.routes(update=update),
    Route("PUT", "/v2.0/routers/{id}/add_router_interface", add_interface),
    Route("PUT", "/v2.0/routers/{id}/remove_router_interface", remove_interface),
)
