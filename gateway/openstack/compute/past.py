"""Calls that Nova had up to a microversion, and then left to other services."""

from dataclasses import replace
from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.dialect import Handler, Route, Version
from gateway.openstack.faults import Refusal

# From the next on images, networks and volumes are asked for where they are.
LAST_PASSED_ON = (2, 35)


def until(handler: Handler, last: Version, instead: str) -> Handler:
    """The call as it was up to a microversion; from the next on it is said what there is instead."""

    async def still(call: Call) -> Any:
        if call.microversion > last:
            raise Refusal(404, instead)
        return await handler(call)

    return still


def passed_on(handler: Handler, service: str) -> Handler:
    """The call as Nova made it for its caller, up to 2.35."""
    return until(handler, LAST_PASSED_ON, f"From 2.36 on the {service} service is asked.")


def passing(service: str, *routes: Route) -> tuple[Route, ...]:
    """Calls that Nova made of that service."""
    return tuple(replace(route, handler=passed_on(route.handler, service)) for route in routes)
