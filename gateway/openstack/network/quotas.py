"""Quotas of the network service."""

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.limits import Quotas, whole
from mesh.lists import walk
from weft.network.v1 import (
    floating_ip_service_pb2,
    network_service_pb2,
    port_service_pb2,
    router_service_pb2,
    security_group_service_pb2,
    subnet_service_pb2,
)
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.router_service_pb2_grpc import RouterServiceStub
from weft.network.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub
from weft.network.v1.subnet_service_pb2_grpc import SubnetServiceStub

_NAMES = {
    "network": "networks",
    "subnet": "subnets",
    "port": "ports",
    "router": "routers",
    "floatingip": "floating_ips",
    "security_group": "security_groups",
    "security_group_rule": "security_group_rules",
}


async def _usage(call: Call, project_id: str) -> Mapping[str, int]:
    """Counted from the lists; rules with the groups that they are in."""
    networks = call.stub(NetworkServiceStub).ListNetworks, network_service_pb2.ListNetworksRequest()
    subnets = call.stub(SubnetServiceStub).ListSubnets, subnet_service_pb2.ListSubnetsRequest()
    ports = call.stub(PortServiceStub).ListPorts, port_service_pb2.ListPortsRequest()
    routers = call.stub(RouterServiceStub).ListRouters, router_service_pb2.ListRoutersRequest()
    floating = call.stub(FloatingIpServiceStub).ListFloatingIps
    groups = call.stub(SecurityGroupServiceStub).ListSecurityGroups
    rules = call.stub(SecurityGroupServiceStub).ListSecurityGroupRules
    lists: dict[str, tuple[Any, Any]] = {
        "networks": networks,
        "subnets": subnets,
        "ports": ports,
        "routers": routers,
        "floating_ips": (floating, floating_ip_service_pb2.ListFloatingIpsRequest()),
        "security_groups": (groups, security_group_service_pb2.ListSecurityGroupsRequest()),
        "security_group_rules": (rules, security_group_service_pb2.ListSecurityGroupRulesRequest()),
    }

    async def count(rpc: Any, request: Any, items: str) -> int:
        return sum([1 async for one in walk(rpc, request, items) if one.project_id == project_id])

    counts = await asyncio.gather(*(count(rpc, request, items) for items, (rpc, request) in lists.items()))
    return dict(zip(lists, counts, strict=True))


QUOTAS = Quotas("network", "/v2.0/quotas", _NAMES, {}, _usage)


async def show(call: Call) -> dict[str, Any]:
    """GET /quotas/{project_id}."""
    return {"quota": await QUOTAS.of(call, call.params["project_id"])}


async def defaults(call: Call) -> dict[str, Any]:
    """GET /quotas/{project_id}/default."""
    return {"quota": await QUOTAS.of(call, "")}


async def detail(call: Call) -> dict[str, Any]:
    """GET /quotas/{project_id}/details, with `.json` or without."""
    project_id = call.params["project_id"]
    limits, used = await QUOTAS.of(call, project_id), await QUOTAS.used(call, project_id)
    return {
        "quota": {name: {"limit": limit, "used": used[name], "reserved": 0} for name, limit in limits.items()}
    }


async def update(call: Call) -> dict[str, Any]:
    """PUT /quotas/{project_id}."""
    given = await call.body("quota")
    body.refuse_unknown(given, {*_NAMES, "check_limit", "force"})
    project_id = call.params["project_id"]
    wanted = {name: whole(value, name) for name, value in given.items() if name in _NAMES}
    if body.field(given, "check_limit", bool, False):
        used = await QUOTAS.used(call, project_id)
        if less := [name for name, limit in wanted.items() if 0 <= limit < used[name]]:
            raise Refusal(409, f"The project has more already: {', '.join(less)}.")
    return {"quota": await QUOTAS.set(call, project_id, wanted)}


_PATH = "/v2.0/quotas/{project_id}"
ROUTES = (
    Route("GET", _PATH, show, administers=True),
    Route("GET", f"{_PATH}/default", defaults, administers=True),
    Route("GET", f"{_PATH}/details", detail, administers=True),
    Route("GET", f"{_PATH}/details.json", detail, administers=True),
    Route("PUT", _PATH, update, administers=True),
    Route("DELETE", _PATH, QUOTAS.withdraw, 204, administers=True),
)
