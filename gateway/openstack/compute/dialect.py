"""Nova's route table and its versions."""

from typing import Any

from gateway.openstack import faults, versions
from gateway.openstack.call import Call
from gateway.openstack.compute import (
    actions,
    attachments,
    audits,
    belongings,
    create,
    flavors,
    floating_ips,
    hosts,
    hypervisors,
    images,
    instance_actions,
    interfaces,
    keypairs,
    networks,
    operators,
    quotas,
    security_groups,
    server_groups,
    servers,
    volumes,
)
from gateway.openstack.dialect import Dialect, Microversions, Route

# In which servers, flavors and their parts are shown as Nova shows them; what a version brings and weft has
# not is refused by name.
_KNOWN = Microversions("compute", (2, 1), (2, 96), "x-openstack-nova-api-version")
_KIND = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}


def _first(call: Call) -> dict[str, Any]:
    """Version 2.0: what 2.1 is without microversions, at an address of its own."""
    return versions.micro(call, "v2.0", "/v2/", None, "SUPPORTED")


def _current(call: Call) -> dict[str, Any]:
    return versions.micro(call, "v2.1", "/v2.1/", _KNOWN)


async def all_versions(call: Call) -> dict[str, Any]:
    """GET /."""
    return {"versions": [_first(call), _current(call)]}


async def first(call: Call) -> dict[str, Any]:
    """GET /v2."""
    return {"version": {**_first(call), "media-types": [_KIND]}}


async def current(call: Call) -> dict[str, Any]:
    """GET /v2.1."""
    return {"version": {**_current(call), "media-types": [_KIND]}}


async def extensions(call: Call) -> dict[str, Any]:
    """GET /extensions: what is asked for by clients that look here; all else belongs to the version."""
    hosts_then = versions.extension("Hosts", "os-hosts", "Hosts, as resources until 2.43.")
    return {"extensions": [hosts_then | {"namespace": call.url("/v2.1/os-hosts")}]}


ROUTES = (
    Route("GET", "/", all_versions),
    Route("GET", "/v2", first),
    Route("GET", "/v2.1", current),
    Route("GET", "/v2.1/extensions", extensions),
    *servers.ROUTES,
    *create.ROUTES,
    *actions.ROUTES,
    *belongings.ROUTES,
    *attachments.ROUTES,
    *interfaces.ROUTES,
    *instance_actions.ROUTES,
    *flavors.ROUTES,
    *keypairs.ROUTES,
    *security_groups.ROUTES,
    *images.ROUTES,
    *floating_ips.ROUTES,
    *networks.ROUTES,
    *volumes.ROUTES,
    *quotas.ROUTES,
    *operators.ROUTES,
    *hosts.ROUTES,
    *hypervisors.ROUTES,
    *audits.ROUTES,
    *server_groups.ROUTES,
)
DIALECT = Dialect("compute", "/compute", ROUTES, faults.compute, faults.COMPUTE, _KNOWN, "v2.1")
