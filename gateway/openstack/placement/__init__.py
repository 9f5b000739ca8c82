"""Placement: the route table."""

from dataclasses import replace
from typing import Any

from gateway.openstack import faults, versions
from gateway.openstack.call import Call
from gateway.openstack.dialect import Dialect, Handler, Microversions, Route, administered, text
from gateway.openstack.placement import (
    allocations,
    belongings,
    candidates,
    consumers,
    inventories,
    names,
    providers,
)
from gateway.openstack.placement.answers import answer
from gateway.openstack.placement.reading import accept

_VERSIONS = Microversions("placement", (1, 0), (1, 39))


async def _versions(call: Call) -> Any:
    known = versions.micro(call, "v1.0", "", _VERSIONS, max_version=text(_VERSIONS.highest))
    here = {"links": [{"rel": "self", "href": ""}]}  # of its one version, relative to the root itself
    return answer(call, {"versions": [known | here]})


def _in_json(route: Route) -> Route:
    """The same, refused where the client takes no JSON."""

    async def handler(call: Call, handle: Handler = route.handler) -> Any:
        accept(call)
        return await handle(call)

    return replace(route, handler=handler)


_ONE = "/resource_providers/{id}"
_CLASSES = "/resource_classes"
_ROUTES = (
    Route("GET", "/", _versions),
    Route("GET", "/resource_providers", providers.listed),
    Route("POST", "/resource_providers", providers.create),
    Route("GET", _ONE, providers.show),
    Route("PUT", _ONE, providers.update),
    Route("DELETE", _ONE, providers.delete),
    Route("GET", f"{_ONE}/inventories", inventories.listed),
    Route("PUT", f"{_ONE}/inventories", inventories.replace),
    Route("POST", f"{_ONE}/inventories", inventories.add),
    Route("DELETE", f"{_ONE}/inventories", inventories.clear),
    Route("GET", f"{_ONE}/inventories/{{name}}", inventories.show),
    Route("PUT", f"{_ONE}/inventories/{{name}}", inventories.change),
    Route("DELETE", f"{_ONE}/inventories/{{name}}", inventories.remove),
    Route("GET", f"{_ONE}/usages", belongings.usages),
    Route("GET", f"{_ONE}/traits", belongings.traits, since=(1, 6)),
    Route("PUT", f"{_ONE}/traits", belongings.set_traits, since=(1, 6)),
    Route("DELETE", f"{_ONE}/traits", belongings.remove_traits, since=(1, 6)),
    Route("GET", f"{_ONE}/aggregates", belongings.aggregates, since=(1, 1)),
    Route("PUT", f"{_ONE}/aggregates", belongings.set_aggregates, since=(1, 1)),
    Route("GET", f"{_ONE}/allocations", allocations.of_provider),
    Route("GET", "/allocation_candidates", candidates.listed, since=(1, 10)),
    Route("GET", "/usages", consumers.usages, since=(1, 9)),
    Route("POST", "/reshaper", allocations.reshape, since=(1, 30)),
    Route("POST", "/allocations", allocations.replace_many, since=(1, 13)),
    Route("GET", "/allocations/{consumer_id}", allocations.show),
    Route("PUT", "/allocations/{consumer_id}", allocations.replace),
    Route("DELETE", "/allocations/{consumer_id}", allocations.delete),
    Route("GET", _CLASSES, names.classes, since=(1, 2)),
    Route("POST", _CLASSES, names.post_class, since=(1, 2)),
    Route("GET", f"{_CLASSES}/{{name}}", names.show_class, since=(1, 2)),
    Route("PUT", f"{_CLASSES}/{{name}}", names.put_class, since=(1, 2)),
    Route("DELETE", f"{_CLASSES}/{{name}}", names.delete_class, since=(1, 2)),
    Route("GET", "/traits", names.traits, since=(1, 6)),
    Route("GET", "/traits/{name}", names.check_trait, since=(1, 6)),
    Route("PUT", "/traits/{name}", names.put_trait, since=(1, 6)),
    Route("DELETE", "/traits/{name}", names.delete_trait, since=(1, 6)),
)
DIALECT = Dialect(
    name="placement",
    mount="/placement",
    shape=faults.placement,
    statuses=faults.PLACEMENT,
    microversions=_VERSIONS,
    routes=administered(_in_json(route) if route.method == "GET" else route for route in _ROUTES),
)
