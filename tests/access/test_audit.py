"""Every service tells the one trail; secrets of requests are in none of it."""

from typing import Any

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.access.conftest import HOST, Mesh
from tests.access.test_hosts import host
from tests.services.harness import until
from weft.compute.v1.host_service_pb2 import HeartbeatRequest, ListHostsRequest
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.identity.v1.audit_service_pb2 import AuditEvent, ListEventsRequest
from weft.identity.v1.audit_service_pb2_grpc import AuditServiceStub
from weft.image.v1.image_service_pb2 import CreateImageRequest
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.network.v1.network_service_pb2 import CreateNetworkRequest
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def told(mesh: Mesh, persona: str = "system admin", **filters: Any) -> list[AuditEvent]:
    """The events that these filters find, once there are some."""
    found: list[AuditEvent] = []
    async with mesh.client("identity", persona) as client:
        stub = client.stub(AuditServiceStub)

        async def there() -> bool:
            found[:] = (await stub.ListEvents(ListEventsRequest(page_size=1000, **filters))).events
            return bool(found)

        await until(there, 60)
    return found


async def test_every_service_tells_what_was_changed_there(mesh: Mesh) -> None:
    async with mesh.client("network", "project member") as client:
        network = await client.stub(NetworkServiceStub).CreateNetwork(CreateNetworkRequest(name=ids.new()))
    async with mesh.client("image", "project member") as client:
        image = await client.stub(ImageServiceStub).CreateImage(
            CreateImageRequest(name=ids.new(), disk_format="DISK_FORMAT_RAW")
        )
    for service, made in (("network", network), ("image", image)):
        (event,) = await told(mesh, target_id=made.id)
        assert (event.observer.id, event.outcome) == (service, "success")
        assert event.initiator.project_id == mesh.projects["ours"]
        assert made.name not in str(event)
        (seen,) = await told(mesh, "project manager", target_id=made.id)
        assert seen.id == event.id


async def test_a_refusal_of_a_look_is_told_too(mesh: Mesh) -> None:
    async with mesh.client("compute", "project reader") as client:
        with pytest.raises(CloudError):
            await client.stub(HostServiceStub).ListHosts(ListHostsRequest())
    found = await told(mesh, action="compute.hosts.list", outcome="failure")
    assert {event.reason.reason_code for event in found} <= {
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "AUDIENCE_REFUSED",
    }
    assert {event.observer.id for event in found} == {"compute"}


async def test_signs_of_life_are_not_told_but_their_refusals_are(mesh: Mesh) -> None:
    async with mesh.client("compute", "node") as client:
        hosts = client.stub(HostServiceStub)
        known = await hosts.RegisterHost(host(HOST))
        for _ in range(3):
            await hosts.Heartbeat(HeartbeatRequest(id=HOST, epoch=known.epoch))
        with pytest.raises(CloudError):
            await hosts.Heartbeat(HeartbeatRequest(id=ids.new(), epoch=1))
    registered = await told(mesh, action="compute.hosts.register", outcome="success")
    assert {(event.initiator.type_uri, event.initiator.id) for event in registered} == {
        ("compute/node", HOST)
    }
    beats = await told(mesh, action="compute.hosts.heartbeat", initiator_id=HOST)
    assert {(event.outcome, event.reason.reason_code) for event in beats} == {
        ("failure", "PERMISSION_DENIED")
    }
