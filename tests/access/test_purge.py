"""A project is purged: nothing of it is left in any service, and everything of others is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.access.conftest import HOST, Mesh
from tests.access.tenants import EVERYTHING, Operator, furnished, operator, state, tenant
from tests.services.image.origin import Answer, origin
from weft.identity.v1 import limit_service_pb2, limit_service_pb2_grpc
from weft.identity.v1 import project_service_pb2 as pb
from weft.image.v1 import image_service_pb2, image_service_pb2_grpc
from weft.network.v1 import (
    host_service_pb2,
    host_service_pb2_grpc,
    network_service_pb2,
    network_service_pb2_grpc,
    operation_service_pb2_grpc,
    port_service_pb2,
    port_service_pb2_grpc,
)
from weft.operation.v1 import operation_pb2

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_nothing_is_left_of_it_and_all_of_another(mesh: Mesh) -> None:
    leaving, staying = await furnished(mesh), await furnished(mesh)
    async with operator(mesh) as admin:
        theirs = await admin.holdings(staying.project_id)
        had = await admin.holdings(leaving.project_id)
        assert {each.type for each in had.values()} == EVERYTHING
        assert not {each.blocked for each in had.values()} - {""}
        ended = await admin.purge(leaving.project_id)
        assert state(ended) == "SUCCEEDED", ended.error
        assert await admin.holdings(leaving.project_id) == {}
        kept = await admin.project(leaving.project_id)
        assert kept.enabled
        assert not kept.operation_id
        assert await admin.holdings(staying.project_id) == theirs


async def test_the_project_and_its_limits_go_with_it(mesh: Mesh) -> None:
    leaving = await furnished(mesh)
    async with mesh.client("identity", "system admin") as client:
        limits = client.stub(limit_service_pb2_grpc.LimitServiceStub)
        own = {"service": "compute", "resource": "servers", "project_id": leaving.project_id}
        await limits.SetLimit(limit_service_pb2.SetLimitRequest(limit={**own, "limit": 3}))
        admin = Operator(client)
        ended = await admin.purge(leaving.project_id, delete_project=True)
        assert state(ended) == "SUCCEEDED", ended.error
        with pytest.raises(CloudError, match="There is no project"):
            await admin.project(leaving.project_id)
        with pytest.raises(CloudError, match=r"There is no (limit|project)"):
            await limits.UnsetLimit(limit_service_pb2.UnsetLimitRequest(**own))


async def test_what_others_use_is_refused_before_anything_is_deleted(mesh: Mesh) -> None:
    leaving, other = await furnished(mesh), await tenant(mesh)
    async with leaving.calls("network") as client:
        networks = client.stub(network_service_pb2_grpc.NetworkServiceStub)
        shared = await networks.CreateNetwork(network_service_pb2.CreateNetworkRequest(shared=True))
    async with other.calls("network") as client:
        ports = client.stub(port_service_pb2_grpc.PortServiceStub)
        port = await ports.CreatePort(port_service_pb2.CreatePortRequest(network_id=shared.id))
    async with operator(mesh) as admin:
        had = await admin.holdings(leaving.project_id)
        assert [id for id, each in had.items() if each.blocked] == [shared.id]
        ended = await admin.purge(leaving.project_id)
        assert (state(ended), ended.error.reason) == ("FAILED", "IN_USE")
        assert port.id in ended.error.message
        assert await admin.holdings(leaving.project_id) == had
        assert (await admin.project(leaving.project_id)).enabled
        async with other.calls("network") as client:
            ports = client.stub(port_service_pb2_grpc.PortServiceStub)
            await ports.DeletePort(port_service_pb2.DeletePortRequest(id=port.id))
        assert state(await admin.purge(leaving.project_id)) == "SUCCEEDED"


async def test_an_image_that_others_use_is_refused(mesh: Mesh) -> None:
    leaving, other = await tenant(mesh), await tenant(mesh)
    async with leaving.calls("image") as client:
        images = client.stub(image_service_pb2_grpc.ImageServiceStub)
        request = image_service_pb2.CreateImageRequest(disk_format="DISK_FORMAT_RAW")
        request.visibility = "VISIBILITY_SHARED"
        image = await images.CreateImage(request)
        member = image_service_pb2.AddMemberRequest(image_id=image.id, member_project_id=other.project_id)
        await images.AddMember(member)
    async with operator(mesh) as admin:
        assert not (await admin.holdings(leaving.project_id))[image.id].blocked
        async with other.calls("image") as client:
            images = client.stub(image_service_pb2_grpc.ImageServiceStub)
            accepted = image_service_pb2.SetMemberStatusRequest(
                image_id=image.id, member_project_id=other.project_id, status="MEMBER_STATUS_ACCEPTED"
            )
            await images.SetMemberStatus(accepted)
        ended = await admin.purge(leaving.project_id)
        assert (ended.error.reason, ended.error.metadata["id"]) == ("IN_USE", image.id)


async def test_an_image_that_is_importing_goes_with_its_import(mesh: Mesh) -> None:
    leaving = await tenant(mesh)
    async with origin() as web, operator(mesh) as admin, leaving.calls("image") as client:
        images = client.stub(image_service_pb2_grpc.ImageServiceStub)
        image = await images.CreateImage(image_service_pb2.CreateImageRequest(disk_format="DISK_FORMAT_RAW"))
        uri = web.uri("/without-end", Answer(b"12345678", sent=4, go_on=asyncio.Event()))
        begun = await images.ImportImage(image_service_pb2.ImportImageRequest(id=image.id, uri=uri))
        assert begun.operation_id
        ended = await admin.purge(leaving.project_id)
        assert state(ended) == "SUCCEEDED", ended.error
        assert await admin.holdings(leaving.project_id) == {}


@asynccontextmanager
async def silent_host(mesh: Mesh) -> AsyncIterator[None]:
    """A host that is there, and never says that it has what it is told."""
    async with mesh.client("network", "node") as client:
        stub = client.stub(host_service_pb2_grpc.HostNetworkServiceStub)
        request = host_service_pb2.WatchHostStateRequest(
            host_id=HOST, vtep_address="192.0.2.1", confirms=True
        )
        stream = aiter(stub.WatchHostState(request))
        assert (await anext(stream)).complete
        yield


async def test_a_router_whose_change_no_host_has_yet_goes(mesh: Mesh) -> None:
    async with silent_host(mesh), operator(mesh) as admin:
        leaving = await furnished(mesh)
        async with leaving.calls("network") as client:
            operations = client.stub(operation_service_pb2_grpc.OperationServiceStub)
            under_way = await operations.ListOperations(operation_pb2.ListOperationsRequest())
            assert {each.kind for each in under_way.operations} == {"router.change", "floating_ip.change"}
        assert {state(each) for each in under_way.operations} == {"RUNNING"}
        ended = await admin.purge(leaving.project_id)
        assert state(ended) == "SUCCEEDED", ended.error
        assert await admin.holdings(leaving.project_id) == {}


async def test_who_administers_the_domain_may_and_nobody_of_another(mesh: Mesh) -> None:
    ours = await tenant(mesh)
    async with operator(mesh, "domain manager") as manager:
        for call in (
            manager.projects.PurgeProject(pb.PurgeProjectRequest(id=ours.project_id)),
            manager.projects.GetProjectHoldings(pb.GetProjectHoldingsRequest(id=ours.project_id)),
        ):
            with pytest.raises(CloudError) as refused:
                await call
            assert refused.value.reason == "NOT_FOUND"
        own = await manager.projects.CreateProject(pb.CreateProjectRequest(name=ids.new()))
        operation = await manager.purge(own.id, delete_project=True)
        assert state(operation) == "SUCCEEDED"
        listed = await manager.operations.ListOperations(operation_pb2.ListOperationsRequest())
        assert operation.id in {each.id for each in listed.operations}
    async with operator(mesh, "another domain's member") as member:
        with pytest.raises(CloudError) as refused:
            await member.operations.GetOperation(operation_pb2.GetOperationRequest(id=operation.id))
        assert refused.value.reason == "NOT_FOUND"


async def test_rehearsed_it_changes_nothing(mesh: Mesh) -> None:
    staying = await tenant(mesh)
    async with operator(mesh) as admin:
        before = await admin.project(staying.project_id)
        told = await admin.projects.PurgeProject(
            pb.PurgeProjectRequest(id=staying.project_id, validate_only=True)
        )
        assert told.operation_id
        assert await admin.project(staying.project_id) == before
