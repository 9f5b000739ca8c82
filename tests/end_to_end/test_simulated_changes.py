"""A simulated host does with a server all that a real one does: whole services, whole flows, no guests."""

from cli.cloud import health
from tests.end_to_end.clouds import SUCCEEDED, Cloud, Person
from weft.compute.v1 import flavor_service_pb2, flavor_service_pb2_grpc
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.resources_pb2 import Server, ServerStatus
from weft.image.v1 import image_service_pb2, image_service_pb2_grpc
from weft.image.v1.resources_pb2 import ImageStatus


async def done(person: Person, id: str, rpc: str, **fields: object) -> Server:
    """The server once the operation has succeeded."""
    request = getattr(pb, f"{rpc}Request")(id=id, **fields)
    begun = await getattr(person.servers, rpc)(request)
    ended = await person.ended(begun.operation_id)
    assert ended.state == SUCCEEDED, (rpc, ended.error)
    return await person.servers.GetServer(pb.GetServerRequest(id=id))


async def larger(cloud: Cloud) -> str:
    async with await health.administrator(cloud.layout) as admin:
        flavors = admin.stub(flavor_service_pb2_grpc.FlavorServiceStub)
        wanted = flavor_service_pb2.CreateFlavorRequest(
            name="larger", id="x2.larger", vcpus=2, memory_mib=1024, disk_gib=8
        )
        return (await flavors.CreateFlavor(wanted)).id


async def test_a_simulated_server_goes_through_every_change(simulated: Cloud) -> None:
    async with simulated.person("changer") as person:
        network = await person.network("10.9.0.0/24")
        made = await person.boot(
            name="clay",
            flavor_id=await person.flavor(),
            image_id=await person.image(),
            networks=[{"network_id": network}],
        )
        states = []
        for rpc in ("PauseServer", "UnpauseServer", "SuspendServer", "ResumeServer"):
            states.append(ServerStatus.Name((await done(person, made.id, rpc)).status))
        still = ["SERVER_STATUS_PAUSED", "SERVER_STATUS_ACTIVE", "SERVER_STATUS_SUSPENDED"]
        assert states == [*still, "SERVER_STATUS_ACTIVE"]

        having = await done(person, made.id, "AttachPort", network_id=network)
        assert len(having.ports) == 2
        without = await done(person, made.id, "DetachPort", port_id=having.ports[1].port_id)
        assert list(without.ports) == list(made.ports)

        copy = await person.servers.SnapshotServer(pb.SnapshotServerRequest(id=made.id, name="copy"))
        assert (await person.ended(copy.server.operation_id)).state == SUCCEEDED
        images = person.client.stub(image_service_pb2_grpc.ImageServiceStub)
        image = await images.GetImage(image_service_pb2.GetImageRequest(id=copy.image_id))
        assert image.status == ImageStatus.IMAGE_STATUS_ACTIVE
        assert (await done(person, made.id, "RebuildServer", image_id=image.id)).image_id == image.id

        flavor = await larger(simulated)
        for end, kept in (("RevertResize", made.flavor.id), ("ConfirmResize", flavor)):
            resized = await done(person, made.id, "ResizeServer", flavor_id=flavor)
            assert resized.status == ServerStatus.SERVER_STATUS_VERIFY_RESIZE
            assert (await done(person, made.id, end)).flavor.id == kept
        await person.delete(made.id)
