"""Placement: the route table."""

from typing import Any

from gateway.openstack import faults, versions
from gateway.openstack.call import Call
from gateway.openstack.dialect import Dialect, Microversions, Route, administered, text
from gateway.openstack.placement import allocations, candidates, inventories, names, providers

# The one in whose forms everything is answered.
_VERSIONS = Microversions("placement", (1, 38), (1, 38))


async def _versions(call: Call) -> dict[str, Any]:
    return {"versions": [versions.micro(call, "v1.0", "", _VERSIONS, max_version=text(_VERSIONS.highest))]}


DIALECT = Dialect(
    name="placement",
    mount="/placement",
    shape=faults.placement,
    statuses=faults.PLACEMENT,
    microversions=_VERSIONS,
    routes=administered(
        (
            Route("GET", "/", _versions),
            Route("GET", "/resource_providers", providers.listed),
            Route("POST", "/resource_providers", providers.create),
            Route("GET", "/resource_providers/{id}", providers.show),
            Route("PUT", "/resource_providers/{id}", providers.update),
            Route("DELETE", "/resource_providers/{id}", providers.delete, 204),
            Route("GET", "/resource_providers/{id}/inventories", providers.inventories),
            Route("PUT", "/resource_providers/{id}/inventories", providers.set_inventories),
            Route("POST", "/resource_providers/{id}/inventories", inventories.add, 201),
            Route("DELETE", "/resource_providers/{id}/inventories", providers.clear_inventories, 204),
            Route("GET", "/resource_providers/{id}/inventories/{name}", inventories.show),
            Route("PUT", "/resource_providers/{id}/inventories/{name}", inventories.change),
            Route("DELETE", "/resource_providers/{id}/inventories/{name}", inventories.remove, 204),
            Route("GET", "/resource_providers/{id}/usages", providers.usages),
            Route("GET", "/resource_providers/{id}/traits", providers.traits),
            Route("PUT", "/resource_providers/{id}/traits", providers.set_traits),
            Route("DELETE", "/resource_providers/{id}/traits", providers.remove_traits, 204),
            Route("GET", "/resource_providers/{id}/aggregates", providers.aggregates),
            Route("PUT", "/resource_providers/{id}/aggregates", providers.set_aggregates),
            Route("GET", "/resource_providers/{id}/allocations", allocations.of_provider),
            Route("GET", "/allocation_candidates", candidates.listed),
            Route("GET", "/usages", allocations.usages),
            Route("POST", "/allocations", allocations.replace_many, 204),
            Route("GET", "/allocations/{consumer_id}", allocations.show),
            Route("PUT", "/allocations/{consumer_id}", allocations.replace, 204),
            Route("DELETE", "/allocations/{consumer_id}", allocations.delete, 204),
            Route("GET", "/resource_classes", names.classes),
            Route("GET", "/resource_classes/{name}", names.show_class),
            Route("PUT", "/resource_classes/{name}", names.create_class, 201),
            Route("DELETE", "/resource_classes/{name}", names.delete_class, 204),
            Route("GET", "/traits", names.traits),
            Route("GET", "/traits/{name}", names.check_trait, 204),
            Route("PUT", "/traits/{name}", names.create_trait, 201),
            Route("DELETE", "/traits/{name}", names.delete_trait, 204),
        )
    ),
)
