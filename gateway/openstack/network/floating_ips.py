"""Floating IPs."""

from dataclasses import replace
from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.fields import Field
from gateway.openstack.network.common import common
from gateway.openstack.network.ports import view as ports_view
from gateway.openstack.network.resource import Resource
from mesh.errors import CloudError
from mesh.lists import walk
from weft.network.v1 import floating_ip_service_pb2 as messages
from weft.network.v1 import port_service_pb2, resources_pb2
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.resources_pb2 import Port

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
_ANSWERS = ("/v2.0/floatingips", "/v2.0/floatingips/{id}")
_OF_A_PORT = ("name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner")


async def _ports(call: Call, ids: set[str]) -> dict[str, Port]:
    """Those of the ports that the caller sees: one is asked for, of many the list is read."""
    stub = call.stub(PortServiceStub)
    if len(ids) > 1:
        request = port_service_pb2.ListPortsRequest()
        return {one.id: one async for one in walk(stub.ListPorts, request, "ports") if one.id in ids}
    try:
        return {id: await stub.GetPort(port_service_pb2.GetPortRequest(id=id)) for id in ids}
    except CloudError as error:
        if error.reason != "NOT_FOUND":
            raise
        return {}


def _detailed(route: Route) -> Route:
    """The route, whose answer tells of the ports too that the floating IPs lead to."""

    async def handler(call: Call) -> Any:
        answer: Any = await route.handler(call)
        if answer is None:
            return None
        shown = answer["floatingips"] if "floatingips" in answer else [answer["floatingip"]]
        asked = call.queries("fields")
        told = [one for one in shown if not asked or {"port_id", "port_details"} <= {*asked}]
        ports = await _ports(call, {one["port_id"] for one in told} - {None})
        for one in told:
            port = ports.get(one["port_id"])
            view = ports_view(port) if port else {}
            one["port_details"] = {name: view[name] for name in _OF_A_PORT} if port else None
        return answer

    return replace(route, handler=handler) if route.path in _ANSWERS else route


ROUTES = tuple(map(_detailed, FLOATING_IPS.routes()))
