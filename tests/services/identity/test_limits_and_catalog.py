"""Limits of projects, and the catalogue."""

from mesh import ids
from tests.services.identity.conftest import Cloud
from tests.services.identity.test_login import reason
from weft.identity.v1 import catalog_service_pb2 as catalog_pb
from weft.identity.v1 import limit_service_pb2 as pb
from weft.identity.v1 import project_service_pb2 as project_pb
from weft.identity.v1.resources_pb2 import Limit


async def compute_limits(person, **filters) -> dict[str, int]:
    """What may be had of compute."""
    answer = await person.limits.ListLimits(pb.ListLimitsRequest(service="compute", **filters))
    return {limit.resource: limit.limit for limit in answer.limits}


async def test_a_project_has_the_defaults_until_it_has_its_own(either: Cloud) -> None:
    admin = await either.admin()
    ann, project = await either.member("ann")
    assert await compute_limits(ann) == {"servers": 20, "vcpus": 40, "memory_mib": 102400}

    async def put(limit, **where):
        limit = Limit(service="compute", resource="servers", limit=limit, **where)
        await admin.limits.SetLimit(pb.SetLimitRequest(limit=limit))

    await put(3, project_id=project.id)
    await put(7)
    assert (await compute_limits(ann))["servers"] == 3
    bob, _ = await either.member("bob")
    assert (await compute_limits(bob))["servers"] == 7
    service = either.service()
    assert (await compute_limits(service, project_id=project.id))["servers"] == 3
    assert (await compute_limits(admin))["servers"] == 7
    await put(-1, project_id=project.id)
    assert (await compute_limits(ann))["servers"] == -1
    other = pb.ListLimitsRequest(project_id=project.id)
    assert await reason(bob.limits.ListLimits(other)) == "NOT_FOUND"
    await admin.projects.DeleteProject(project_pb.DeleteProjectRequest(id=project.id))
    assert (await compute_limits(service, project_id=project.id))["servers"] == 7


async def test_a_limit_is_set_by_the_system_for_what_exists(world: Cloud) -> None:
    admin = await world.admin()
    ann, project = await world.member("ann", "admin")
    good = Limit(service="compute", resource="servers", project_id=project.id, limit=1)
    assert await reason(ann.limits.SetLimit(pb.SetLimitRequest(limit=good))) == "PERMISSION_DENIED"
    for wrong in ({"resource": "dragons"}, {"project_id": ids.new()}):
        bad = Limit()
        bad.CopyFrom(good)
        bad.MergeFrom(Limit(**wrong))
        assert await reason(admin.limits.SetLimit(pb.SetLimitRequest(limit=bad))) == "NOT_FOUND"
    await admin.limits.SetLimit(pb.SetLimitRequest(limit=good))
    assert (await compute_limits(ann))["servers"] == 1


async def test_the_catalogue_shows_everybody_what_is_enabled(world: Cloud) -> None:
    admin = await world.admin()
    ann, _ = await world.member("ann")
    wanted = catalog_pb.ListEndpointsRequest(service_type="compute", interface="public")
    (found,) = (await ann.catalog.ListEndpoints(wanted)).endpoints
    assert found.url == f"https://{world.runtime.settings.gateway.address}/compute/v2.1"
    change = catalog_pb.UpdateEndpointRequest(id=found.id, endpoint={}, update_mask={"paths": ["enabled"]})
    assert await reason(ann.catalog.UpdateEndpoint(change)) == "PERMISSION_DENIED"
    await admin.catalog.UpdateEndpoint(change)
    assert not (await ann.catalog.ListEndpoints(wanted)).endpoints
    get = catalog_pb.GetEndpointRequest(id=found.id)
    assert await reason(ann.catalog.GetEndpoint(get)) == "NOT_FOUND"
    assert not (await admin.catalog.GetEndpoint(get)).enabled
    made = await admin.catalog.CreateEndpoint(
        catalog_pb.CreateEndpointRequest(
            region="North", service_type="dns", interface="public", url="https://dns.example"
        )
    )
    assert (await ann.catalog.GetEndpoint(catalog_pb.GetEndpointRequest(id=made.id))).region == "North"
    await admin.catalog.DeleteEndpoint(catalog_pb.DeleteEndpointRequest(id=made.id))
    gone = catalog_pb.GetEndpointRequest(id=made.id)
    assert await reason(admin.catalog.GetEndpoint(gone)) == "NOT_FOUND"
