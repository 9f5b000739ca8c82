"""Routers, their interfaces and gateways."""

from typing import Any

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.fields import Field, changes
from gateway.openstack.network.common import common
from gateway.openstack.network.creating import creating
from gateway.openstack.network.listing import listing, selected
from gateway.openstack.network.subnets import routes
from weft.network.v1 import resources_pb2
from weft.network.v1 import router_service_pb2 as messages
from weft.network.v1.router_service_pb2_grpc import RouterServiceStub

_UPDATE = {
    "name": Field("name", str),
    "description": Field("description", str),
    "admin_state_up": Field("admin_state_up", bool),
    "routes": Field("routes", list, routes),
}
_GATEWAY = "external_gateway_info"


def view(router: resources_pb2.Router) -> dict[str, Any]:
    """As Neutron shows it."""
    return common(router) | {
        "name": router.name,
        "status": "ACTIVE" if router.admin_state_up else "DOWN",
        "admin_state_up": router.admin_state_up,
        _GATEWAY: _shown(router.gateway) if router.HasField("gateway") else None,
        "routes": [{"destination": route.destination, "nexthop": route.next_hop} for route in router.routes],
        "ha": False,
        "distributed": False,
        "availability_zones": [],
        "availability_zone_hints": [],
        "flavor_id": None,
        "tags": [],
    }


def _shown(gateway: resources_pb2.ExternalGateway) -> dict[str, Any]:
    return {
        "network_id": gateway.network_id,
        "enable_snat": not gateway.HasField("snat_enabled") or gateway.snat_enabled,
        "external_fixed_ips": [{"ip_address": gateway.ip_address}] if gateway.ip_address else [],
    }


def _gateway(given: dict[str, Any]) -> resources_pb2.ExternalGateway:
    body.refuse_unknown(given, {"network_id", "enable_snat", "external_fixed_ips"})
    addresses = body.field(given, "external_fixed_ips", list, [])
    if len(addresses) > 1:
        raise Refusal(400, "external_fixed_ips: a router has one external address.")
    gateway = resources_pb2.ExternalGateway(network_id=body.field(given, "network_id", str))
    if "enable_snat" in given:
        gateway.snat_enabled = body.field(given, "enable_snat", bool)
    if addresses:
        gateway.ip_address = body.field(addresses[0], "ip_address", str, "")
    return gateway


async def index(call: Call) -> dict[str, Any]:
    """GET /routers."""
    rpc = call.stub(RouterServiceStub).ListRouters
    return await listing(call, rpc, messages.ListRoutersRequest(), "routers", "routers", view)


async def show(call: Call) -> dict[str, Any]:
    """GET /routers/{id}."""
    request = messages.GetRouterRequest(id=call.params["id"])
    return {"router": selected(call, view(await call.stub(RouterServiceStub).GetRouter(request)))}


async def create(call: Call) -> dict[str, Any]:
    """POST /routers."""
    given = await call.body("router")
    body.refuse_unknown(given, {"name", "description", "admin_state_up", _GATEWAY})
    request = messages.CreateRouterRequest(
        name=body.field(given, "name", str, ""),
        description=body.field(given, "description", str, ""),
        admin_state_down=not body.field(given, "admin_state_up", bool, True),
    )
    if gateway := body.field(given, _GATEWAY, dict, {}):
        request.gateway.CopyFrom(_gateway(gateway))
    return {"router": view(await call.stub(RouterServiceStub).CreateRouter(request))}


async def update(call: Call) -> dict[str, Any]:
    """PUT /routers/{id}: attributes by one call of the contract, the gateway by another."""
    given = await call.body("router")
    attributes = {name: value for name, value in given.items() if name != _GATEWAY}
    stub, id = call.stub(RouterServiceStub), call.params["id"]
    router = None
    if attributes or _GATEWAY not in given:
        values, mask = changes(attributes, _UPDATE)
        request = messages.UpdateRouterRequest(id=id, router=resources_pb2.Router(**values), update_mask=mask)
        router = await stub.UpdateRouter(request)
    if _GATEWAY in given:
        gateway = body.field(given, _GATEWAY, dict, {})
        if gateway:
            router = await stub.SetRouterGateway(
                messages.SetRouterGatewayRequest(id=id, gateway=_gateway(gateway))
            )
        else:
            router = await stub.ClearRouterGateway(messages.ClearRouterGatewayRequest(id=id))
    return {"router": view(router)}


async def delete(call: Call) -> None:
    """DELETE /routers/{id}."""
    await call.stub(RouterServiceStub).DeleteRouter(messages.DeleteRouterRequest(id=call.params["id"]))


async def add_interface(call: Call) -> dict[str, Any]:
    """PUT /routers/{id}/add_router_interface."""
    given = await _interface(call)
    request = messages.AddRouterInterfaceRequest(id=call.params["id"], **given)
    return _told(await call.stub(RouterServiceStub).AddRouterInterface(request), given)


async def remove_interface(call: Call) -> dict[str, Any]:
    """PUT /routers/{id}/remove_router_interface; answers what the interface was."""
    given = await _interface(call)
    stub, id = call.stub(RouterServiceStub), call.params["id"]
    before = await stub.GetRouter(messages.GetRouterRequest(id=id))
    await stub.RemoveRouterInterface(messages.RemoveRouterInterfaceRequest(id=id, **given))
    return _told(before, given)


async def _interface(call: Call) -> dict[str, str]:
    given = await call.body()
    body.refuse_unknown(given, {"subnet_id", "port_id"})
    if not given:
        raise Refusal(400, "Either subnet_id or port_id must be given.")
    return {name: body.field(given, name, str) for name in given}


def _told(router: resources_pb2.Router, given: dict[str, str]) -> dict[str, Any]:
    document = {"id": router.id, "project_id": router.project_id, "tenant_id": router.project_id, **given}
    for interface in router.interfaces:
        if all(getattr(interface, name) == value for name, value in given.items()):
            document |= {
                "port_id": interface.port_id,
                "subnet_id": interface.subnet_id,
                "subnet_ids": [interface.subnet_id],
            }
    return document


ROUTES = (
    Route("GET", "/v2.0/routers", index),
    Route("POST", "/v2.0/routers", creating("router", "routers", create, delete), 201),
    Route("GET", "/v2.0/routers/{id}", show),
    Route("PUT", "/v2.0/routers/{id}", update),
    Route("DELETE", "/v2.0/routers/{id}", delete, 204),
    Route("PUT", "/v2.0/routers/{id}/add_router_interface", add_interface),
    Route("PUT", "/v2.0/routers/{id}/remove_router_interface", remove_interface),
)
