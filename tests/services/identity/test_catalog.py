"""Regions, services and endpoints."""

import asyncio
from pathlib import Path

import sqlalchemy as sa
from alembic import command

from mesh import ids, migrate
from services.identity.__main__ import MIGRATIONS
from services.identity.tables import TABLES
from tests.services.identity.conftest import Cloud, Person
from tests.services.identity.test_login import reason
from weft.identity.v1 import catalog_service_pb2 as pb
from weft.identity.v1 import region_service_pb2 as region_pb
from weft.identity.v1.region_service_pb2_grpc import RegionServiceStub
from weft.identity.v1.resources_pb2 import Endpoint, Scope

WHERE = {"interface": "public", "url": "https://dns.example"}


def regions_of(person: Person) -> RegionServiceStub:
    return person.client.stub(RegionServiceStub)


async def region_names(person: Person) -> set[str]:
    answer = await regions_of(person).ListRegions(region_pb.ListRegionsRequest())
    return {each.name for each in answer.regions}


async def types(person: Person, **wanted: str) -> set[str]:
    answer = await person.catalog.ListEndpoints(pb.ListEndpointsRequest(**wanted))
    return {each.service_type for each in answer.endpoints}


async def create(person: Person, **fields: str) -> Endpoint:
    return await person.catalog.CreateEndpoint(pb.CreateEndpointRequest(**{**WHERE, **fields}))


async def test_a_new_cloud_has_its_region_and_its_services(either: Cloud) -> None:
    ann, _ = await either.member("ann")
    assert await region_names(ann) == {"RegionOne"}
    found = (await ann.catalog.ListServices(pb.ListServicesRequest(type="identity"))).services
    assert [(each.name, each.enabled) for each in found] == [("weft-identity", True)]
    assert await types(ann, service_id=found[0].id) == {"identity"}


async def test_an_endpoint_makes_the_region_and_the_service_that_it_names(either: Cloud) -> None:
    admin = await either.admin()
    wishes = [create(admin, region="North", service_type="dns", service_name="names") for _ in range(4)]
    made = await asyncio.gather(*wishes)
    assert len({each.service_id for each in made}) == 1
    assert await region_names(admin) == {"RegionOne", "North"}
    again = await create(admin, region="North", service_id=made[0].service_id)
    assert (again.service_type, again.service_name) == ("dns", "names")
    assert await reason(create(admin, region="North", service_id=ids.new())) == "NOT_FOUND"
    assert await reason(create(admin, region="North")) == "INVALID_ARGUMENT"
    both = {"service_id": again.service_id, "service_type": "dns"}
    assert await reason(create(admin, region="North", **both)) == "INVALID_ARGUMENT"
    moved = {"id": again.id, "endpoint": {"region": "South"}, "update_mask": {"paths": ["region"]}}
    assert (await admin.catalog.UpdateEndpoint(pb.UpdateEndpointRequest(**moved))).region == "South"
    assert "South" in await region_names(admin)


async def test_an_endpoint_may_begin_in_no_catalogue(world: Cloud) -> None:
    admin, (ann, _) = await world.admin(), await world.member("ann")
    made = await create(admin, region="North", service_type="dns", service_name="names", disabled=True)
    assert not made.enabled
    get = pb.GetEndpointRequest(id=made.id)
    assert await reason(ann.catalog.GetEndpoint(get)) == "NOT_FOUND"
    begun = {"id": made.id, "endpoint": {"enabled": True}, "update_mask": {"paths": ["enabled"]}}
    await admin.catalog.UpdateEndpoint(pb.UpdateEndpointRequest(**begun))
    assert (await ann.catalog.GetEndpoint(get)).enabled


async def test_a_disabled_service_is_in_no_catalogue_and_a_deleted_one_takes_its_endpoints(
    either: Cloud,
) -> None:
    admin = await either.admin()
    ann, _ = await either.member("ann")
    made = await create(admin, region="RegionOne", service_type="dns", service_name="names")
    assert "dns" in await types(ann)
    change = {"id": made.service_id, "update_mask": {"paths": ["enabled"]}, "service": {}}
    await admin.catalog.UpdateService(pb.UpdateServiceRequest(**change))
    assert "dns" not in await types(ann)
    assert "dns" in await types(admin)
    rename = {"id": made.service_id, "service": {"name": "weft-identity", "type": "identity"}}
    assert await reason(admin.catalog.UpdateService(pb.UpdateServiceRequest(**rename))) == "ALREADY_EXISTS"
    renamed = pb.UpdateServiceRequest(id=made.service_id, service={"name": "others", "enabled": True})
    assert (await admin.catalog.UpdateService(renamed)).name == "others"
    assert (await ann.catalog.GetEndpoint(pb.GetEndpointRequest(id=made.id))).service_name == "others"
    gone = pb.DeleteServiceRequest(id=made.service_id)
    assert await reason(ann.catalog.DeleteService(gone)) == "PERMISSION_DENIED"
    await admin.catalog.DeleteService(gone)
    assert await reason(admin.catalog.GetEndpoint(pb.GetEndpointRequest(id=made.id))) == "NOT_FOUND"
    assert await reason(admin.catalog.GetService(pb.GetServiceRequest(id=made.service_id))) == "NOT_FOUND"


async def test_who_has_a_token_for_nothing_is_told_where_nothing_is(world: Cloud) -> None:
    ann, project = await world.member("ann")
    nowhere = await world.login("ann", Scope())
    assert not nowhere.answer.catalog
    assert await types(nowhere) == set()
    scoped = await world.rescope(nowhere, Scope(project_id=project.id))
    assert {each.service_type for each in scoped.answer.catalog} == await types(ann) != set()
    one = pb.GetEndpointRequest(id=scoped.answer.catalog[0].id)
    assert await reason(nowhere.catalog.GetEndpoint(one)) == "NOT_FOUND"
    assert await types(ann, region="Nowhere") == set()
    answer = await ann.catalog.ListEndpoints(pb.ListEndpointsRequest(interface="internal"))
    assert {each.interface for each in answer.endpoints} == {"internal"}


async def test_regions_are_in_one_another_and_never_in_themselves(either: Cloud) -> None:
    admin = await either.admin()
    regions = regions_of(admin)
    made: list[str] = []
    for name in ("world", "continent", "town"):
        wanted = region_pb.CreateRegionRequest(name=name, parent_id=made[-1] if made else "")
        made.append((await regions.CreateRegion(wanted)).id)
    assert await reason(regions.CreateRegion(wanted)) == "ALREADY_EXISTS"
    nowhere = region_pb.CreateRegionRequest(name="x", parent_id=ids.new())
    assert await reason(regions.CreateRegion(nowhere)) == "NOT_FOUND"
    circle = region_pb.UpdateRegionRequest(id=made[0], region={"parent_id": made[2]})
    assert await reason(regions.UpdateRegion(circle)) == "INVALID_ARGUMENT"
    assert await reason(regions.DeleteRegion(region_pb.DeleteRegionRequest(id=made[1]))) == "IN_USE"
    await create(admin, region="town", service_type="dns")
    assert await reason(regions.DeleteRegion(region_pb.DeleteRegionRequest(id=made[2]))) == "IN_USE"
    out = region_pb.UpdateRegionRequest(id=made[2], region={}, update_mask={"paths": ["parent_id"]})
    assert not (await regions.UpdateRegion(out)).parent_id
    await regions.DeleteRegion(region_pb.DeleteRegionRequest(id=made[1]))
    below = region_pb.ListRegionsRequest(parent_id=made[0])
    assert not (await regions.ListRegions(below)).regions


def test_endpoints_from_before_there_were_services_have_theirs_afterwards(
    database_url: str, tmp_path: Path
) -> None:
    engine = sa.create_engine(database_url)
    with engine.connect() as connection:
        if "search_path" in database_url:
            schema = database_url.rpartition("%3D")[2]
            connection.execute(sa.text(f'CREATE SCHEMA "{schema}"'))
        settings = migrate.config(connection, TABLES, MIGRATIONS)
        command.upgrade(settings, "0003")
        old = sa.Table("endpoints", sa.MetaData(), autoload_with=connection)
        times = {"created_at": 0, "updated_at": 0, "revision": 1, "enabled": True}
        for region, name in (("North", "names"), ("North", "names"), ("South", "other")):
            said = {"region": region, "service_type": "dns", "service_name": name, **WHERE}
            connection.execute(old.insert().values(id=ids.new(), **said, **times))
        command.upgrade(settings, "head")
        joined = (
            "SELECT count(*), count(DISTINCT s.id) FROM endpoints e JOIN services s ON s.id = e.service_id"
        )
        assert tuple(connection.execute(sa.text(joined)).one()) == (3, 2)
        assert set(connection.scalars(sa.text("SELECT name FROM regions"))) == {"North", "South"}
    engine.dispose()
