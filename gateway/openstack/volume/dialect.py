"""Cinder's route table and its versions."""

from typing import Any

from starlette.responses import Response

from gateway.openstack import faults, versions
from gateway.openstack.call import Call
from gateway.openstack.dialect import Dialect, Microversions, Route
from gateway.openstack.volume import (
    actions,
    attachments,
    operators,
    pools,
    snapshots,
    transfers,
    types,
    volumes,
)

# 3.67: projects are no part of addresses any more, as the catalogue's are here.
_KNOWN = Microversions("volume", (3, 0), (3, 67))

_KIND = {"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}


def _versions(call: Call) -> dict[str, Any]:
    return {"versions": [versions.micro(call, "v3.0", "/v3/", _KNOWN, **{"media-types": [_KIND]})]}


async def choices(call: Call) -> Response:
    """GET /."""
    return versions.choice(_versions(call))


async def version(call: Call) -> dict[str, Any]:
    """GET /v3."""
    return _versions(call)


ROUTES = (
    Route("GET", "/", choices),
    Route("GET", "/v3", version),
    *volumes.ROUTES,
    *actions.ROUTES,
    *snapshots.ROUTES,
    *transfers.ROUTES,
    *types.ROUTES,
    *attachments.ROUTES,
    *pools.ROUTES,
    *operators.ROUTES,
)
DIALECT = Dialect("volume", "/volume", ROUTES, faults.compute, faults.VOLUME, _KNOWN, "v3")
