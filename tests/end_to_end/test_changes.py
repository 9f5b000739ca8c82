"""A server that runs is copied, moved, resized and rebuilt, and is itself all the while."""

from tests.end_to_end.clouds import SUCCEEDED, Cloud, Person
from tests.end_to_end.test_two_hosts import hosts_of
from tests.services.harness import until
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.resources_pb2 import Server, ServerStatus
from weft.image.v1 import image_service_pb2, image_service_pb2_grpc
from weft.image.v1.resources_pb2 import ImageStatus

SAYS_SO = b"""#!/bin/sh
echo "the disk is new"
sync
"""
ACTIVE, WAITING = ServerStatus.SERVER_STATUS_ACTIVE, ServerStatus.SERVER_STATUS_VERIFY_RESIZE


async def done(person: Person, begun: Server) -> Server:
    """The server once the operation has succeeded."""
    ended = await person.ended(begun.operation_id)
    assert ended.state == SUCCEEDED, ended.error
    return await person.servers.GetServer(pb.GetServerRequest(id=begun.id))


async def test_a_server_is_copied_moved_and_rebuilt(two_hosts: Cloud) -> None:
    one, two = await hosts_of(two_hosts)
    async with two_hosts.person("mover", "admin") as person:
        network = await person.network("10.6.0.0/24")
        made = await person.boot(
            name="nomad",
            flavor_id=await person.flavor(),
            image_id=await person.image("nomad"),
            networks=[{"network_id": network}],
            host_id=one,
            user_data=SAYS_SO,
        )
        await person.console_says(made.id, "the disk is new", within=240)

        copy = await person.servers.SnapshotServer(pb.SnapshotServerRequest(id=made.id, name="copy"))
        assert (await done(person, copy.server)).status == ACTIVE
        images = person.client.stub(image_service_pb2_grpc.ImageServiceStub)
        image = await images.GetImage(image_service_pb2.GetImageRequest(id=copy.image_id))
        assert image.status == ImageStatus.IMAGE_STATUS_ACTIVE

        moved = await done(
            person, await person.servers.MigrateServer(pb.MigrateServerRequest(id=made.id, host_id=two))
        )
        assert (moved.status, moved.host_id) == (WAITING, two)
        assert moved.ports[0].fixed_ips == made.ports[0].fixed_ips
        # User data runs once in a disk's life.
        said = await person.console_says(made.id, "READY", within=240)
        assert f"READY instance={made.id}" in said
        assert "the disk is new" not in said
        kept = await done(person, await person.servers.ConfirmResize(pb.ConfirmResizeRequest(id=made.id)))
        assert (kept.status, kept.host_id) == (ACTIVE, two)

        rebuild = pb.RebuildServerRequest(id=made.id, image_id=copy.image_id, name="settled")
        rebuilt = await done(person, await person.servers.RebuildServer(rebuild))
        assert (rebuilt.status, rebuilt.image_id) == (ACTIVE, copy.image_id)
        assert rebuilt.ports[0].fixed_ips == made.ports[0].fixed_ips
        await until(lambda: booted(person, made.id, times=2), 240)
        await person.delete(made.id)


async def booted(person: Person, server_id: str, times: int) -> bool:
    """Whether it has come up so often on its host."""
    request = pb.GetConsoleOutputRequest(id=server_id)
    return (await person.servers.GetConsoleOutput(request)).output.count("READY") >= times
