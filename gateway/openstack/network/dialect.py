"""Neutron's route table, its versions and its extensions."""

from typing import Any

from gateway.openstack import faults
from gateway.openstack.call import Call
from gateway.openstack.dialect import Dialect, Route, administered
from gateway.openstack.faults import Refusal
from gateway.openstack.network import floating_ips, networks, ports, quotas, routers, security_groups, subnets
from gateway.openstack.versions import plain

# What clients look for before they use it; only what is really there.
_EXTENSIONS = {
    "router": "Neutron L3 Router",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "extraroute": "Neutron Extra Route",
    "external-net": "Neutron external network",
    "provider": "Provider Network",
    "security-group": "security-group",
    "port-security": "Port Security",
    "allowed-address-pairs": "Allowed Address Pairs",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "fip-port-details": "Floating IP Port Details Extension",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "standard-attr-revisions": "Resource revision numbers",
    "quotas": "Quota management support",
    "quota_details": "Quota details management support",
    "project-id": "project_id field enabled",
    "sorting": "Sorting support",
    "pagination": "Pagination support",
}


async def versions(call: Call) -> dict[str, Any]:
    """GET /."""
    return {"versions": [plain(call, "v2.0", "/v2.0/")]}


async def resources(call: Call) -> dict[str, Any]:
    """GET /v2.0."""
    nouns = sorted({route.path.split("/")[2] for route in _TABLE})
    return {
        "resources": [
            {
                "name": noun.rstrip("s"),
                "collection": noun,
                "links": [{"rel": "self", "href": call.url(f"/v2.0/{noun}")}],
            }
            for noun in nouns
        ]
    }


async def extensions(call: Call) -> dict[str, Any]:
    """GET /v2.0/extensions."""
    return {"extensions": [_extension(alias) for alias in _EXTENSIONS]}


async def extension(call: Call) -> dict[str, Any]:
    """GET /v2.0/extensions/{alias}."""
    alias = call.params["alias"]
    if alias not in _EXTENSIONS:
        raise Refusal(404, f"There is no extension {alias}.")
    return {"extension": _extension(alias)}


async def zones(call: Call) -> dict[str, Any]:
    """GET /v2.0/availability_zones: networks and routers are on every host, and in no zone."""
    return {"availability_zones": []}


async def agents(call: Call) -> dict[str, Any]:
    """GET /v2.0/agents: each host has one program for all, of which compute tells."""
    return {"agents": []}


async def providers(call: Call) -> dict[str, Any]:
    """GET /v2.0/service-providers: a service has one way to be there, and none is chosen."""
    return {"service_providers": []}


def _extension(alias: str) -> dict[str, Any]:
    name = _EXTENSIONS[alias]
    return {
        "alias": alias,
        "name": name,
        "description": f"{name}.",
        "updated": "2016-01-01T00:00:00-00:00",
        "links": [],
    }


_TABLE = (
    *networks.ROUTES,
    *subnets.ROUTES,
    *ports.ROUTES,
    *routers.ROUTES,
    *floating_ips.ROUTES,
    *security_groups.ROUTES,
)
ROUTES = (
    Route("GET", "/", versions),
    Route("GET", "/v2.0", resources),
    Route("GET", "/v2.0/extensions", extensions),
    Route("GET", "/v2.0/extensions/{alias}", extension),
    Route("GET", "/v2.0/availability_zones", zones),
    Route("GET", "/v2.0/agents", agents),
    Route("GET", "/v2.0/service-providers", providers),
    *quotas.ROUTES,
    *administered(_TABLE, "GET", "PUT", "DELETE"),
)
DIALECT = Dialect("network", "/network", ROUTES, faults.network, faults.NETWORK)
