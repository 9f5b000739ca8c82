"""A server that runs is copied, moved there and back, rebuilt, and is itself all the while."""

from google.protobuf.duration_pb2 import Duration

from tests.end_to_end.clouds import SUCCEEDED, Cloud, Person
from tests.end_to_end.test_two_hosts import hosts_of
from tests.services.harness import until
from weft.block.v1 import volume_service_pb2 as block_pb
from weft.block.v1 import volume_service_pb2_grpc as block_grpc
from weft.block.v1.resources_pb2 import VolumeStatus
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.resources_pb2 import Server, ServerStatus
from weft.image.v1 import image_service_pb2, image_service_pb2_grpc
from weft.image.v1.resources_pb2 import ImageStatus

SAYS_SO = b"""#!/bin/sh
echo "the disk is new"
sync
"""
ACTIVE, STOPPED = ServerStatus.SERVER_STATUS_ACTIVE, ServerStatus.SERVER_STATUS_STOPPED
WAITING = ServerStatus.SERVER_STATUS_VERIFY_RESIZE
# A guest boots so long where everything else is slow, in seconds.
PATIENCE = 240


class Nomad:
    """The server, and who does things with it."""

    def __init__(self, person: Person, server: Server) -> None:
        self.person, self.id = person, server.id

    async def done(self, rpc: str, **fields: object) -> Server:
        """What it is once the operation has succeeded."""
        request = getattr(pb, f"{rpc}Request")(id=self.id, **fields)
        answer = await getattr(self.person.servers, rpc)(request)
        return await self.after(answer)

    async def after(self, begun: Server) -> Server:
        ended = await self.person.ended(begun.operation_id)
        assert ended.state == SUCCEEDED, ended.error
        return await self.person.servers.GetServer(pb.GetServerRequest(id=self.id))

    async def booted(self, times: int) -> bool:
        """Whether it has come up so often on its host."""
        request = pb.GetConsoleOutputRequest(id=self.id)
        return (await self.person.servers.GetConsoleOutput(request)).output.count("READY") >= times

    async def copy(self) -> str:
        """The image that is made of it."""
        answer = await self.person.servers.SnapshotServer(pb.SnapshotServerRequest(id=self.id, name="copy"))
        assert (await self.after(answer.server)).status == ACTIVE
        images = self.person.client.stub(image_service_pb2_grpc.ImageServiceStub)
        image = await images.GetImage(image_service_pb2.GetImageRequest(id=answer.image_id))
        assert image.status == ImageStatus.IMAGE_STATUS_ACTIVE
        return image.id


async def volume_of(person: Person) -> str:
    volumes = person.client.stub(block_grpc.VolumeServiceStub)
    made = await volumes.CreateVolume(block_pb.CreateVolumeRequest(name="data", size_gib=1))

    async def available() -> bool:
        volume = await volumes.GetVolume(block_pb.GetVolumeRequest(id=made.id))
        return volume.status == VolumeStatus.VOLUME_STATUS_AVAILABLE

    await until(available, PATIENCE)
    return made.id


async def test_a_server_is_copied_moved_and_rebuilt(two_hosts: Cloud) -> None:
    one, two = await hosts_of(two_hosts)
    async with two_hosts.person("mover", "admin") as person:
        network, volume_id = await person.network("10.6.0.0/24"), await volume_of(person)
        made = await person.boot(
            name="nomad",
            flavor_id=await person.flavor(),
            image_id=await person.image("nomad"),
            networks=[{"network_id": network}],
            host_id=one,
            user_data=SAYS_SO,
        )
        nomad = Nomad(person, made)
        await person.console_says(made.id, "the disk is new", within=PATIENCE)
        image_id = await nomad.copy()
        having = await nomad.done("AttachVolume", volume_id=volume_id)

        moved = await nomad.done("MigrateServer", host_id=two)
        assert (moved.status, moved.host_id) == (WAITING, two)
        assert moved.ports[0].fixed_ips == made.ports[0].fixed_ips
        assert [volume.device for volume in moved.volumes] == [volume.device for volume in having.volumes]
        said = await person.console_says(made.id, "READY", within=PATIENCE)
        assert f"READY instance={made.id}" in said
        assert "the disk is new" not in said  # user data runs once in a disk's life

        back = await nomad.done("RevertResize")
        assert (back.status, back.host_id, list(back.volumes)) == (ACTIVE, one, list(having.volumes))
        await nomad.done("StopServer", grace=Duration())
        moved = await nomad.done("MigrateServer", host_id=two)
        assert moved.status == WAITING
        kept = await nomad.done("ConfirmResize")
        assert (kept.status, kept.host_id) == (STOPPED, two)

        await nomad.done("StartServer")
        rebuilt = await nomad.done("RebuildServer", image_id=image_id, name="settled")
        assert (rebuilt.status, rebuilt.image_id) == (ACTIVE, image_id)
        assert rebuilt.ports[0].fixed_ips == made.ports[0].fixed_ips
        await until(lambda: nomad.booted(times=1), PATIENCE)
        await nomad.done("DetachVolume", volume_id=volume_id)
        await person.delete(made.id)
        volumes = person.client.stub(block_grpc.VolumeServiceStub)
        await volumes.DeleteVolume(block_pb.DeleteVolumeRequest(id=volume_id))
