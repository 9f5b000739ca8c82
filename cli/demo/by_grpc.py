"""What the story does by gRPC, through the same port: volume, floating IP, console, the second server."""

from typing import Any

from cli import follow
from cli.demo.by_rest import FIRST, SECOND
from cli.demo.cast import Cast
from cli.demo.stage import Failed
from mesh import ids
from weft.block.v1 import resources_pb2 as block
from weft.block.v1 import volume_service_pb2 as volumes
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.compute.v1 import resources_pb2 as compute
from weft.compute.v1 import server_service_pb2 as servers
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.network.v1 import floating_ip_service_pb2 as floating
from weft.network.v1 import resources_pb2 as network
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub

VOLUME_GIB = 1


async def finished(cast: Cast, package: str, answer: Any) -> None:
    """Follow the operation of an answer to its end."""
    if answer.operation_id:
        await follow.to_end(cast.grpc, package, answer.operation_id, timeout=180, indent="    ")


async def volume(cast: Cast) -> None:
    """An empty volume."""
    stub = cast.grpc.stub(VolumeServiceStub)
    with cast.stage.step(f"a volume of {VOLUME_GIB} GiB: VolumeService.CreateVolume"):
        made = await stub.CreateVolume(
            volumes.CreateVolumeRequest(name="demo", size_gib=VOLUME_GIB, request_id=ids.new())
        )
        await finished(cast, "block", made)
    cast.ids["volume"] = made.id
    made = await stub.GetVolume(volumes.GetVolumeRequest(id=made.id))
    cast.stage.proof("the volume is", block.VolumeStatus.Name(made.status), "VOLUME_STATUS_AVAILABLE")


async def floating_ip(cast: Cast) -> None:
    """An address of the outside that leads to the first server."""
    with cast.stage.step("a floating IP that leads to it: FloatingIpService.CreateFloatingIp"):
        made = await cast.grpc.stub(FloatingIpServiceStub).CreateFloatingIp(
            floating.CreateFloatingIpRequest(
                network_id=cast.ids["external"], port_id=cast.ids["first port"], request_id=ids.new()
            )
        )
    cast.ids["floating ip"], cast.floating_address = made.id, made.address
    cast.stage.say(f"  {made.address} -> {made.fixed_ip}")


async def second_server(cast: Cast) -> str:
    """Another server of the same kind. Answers its address on the network."""
    stub = cast.grpc.stub(ServerServiceStub)
    with cast.stage.step(f"the server {SECOND}: ServerService.CreateServer"):
        made = await stub.CreateServer(
            servers.CreateServerRequest(
                name=SECOND, flavor_id=cast.ids["flavor"], image_id=cast.ids["image"], key_name="demo",
                networks=[servers.NetworkRequest(network_id=cast.ids["network"])],
                security_groups=["ssh-and-ping"], request_id=ids.new(),
            )
        )  # fmt: skip
        cast.ids[SECOND] = made.id
        await finished(cast, "compute", made)
    server = await stub.GetServer(servers.GetServerRequest(id=made.id))
    cast.stage.proof("the server is", compute.ServerStatus.Name(server.status), "SERVER_STATUS_ACTIVE")
    cast.ids["second port"] = server.ports[0].port_id
    return server.ports[0].fixed_ips[0]


async def move_volume(cast: Cast) -> None:
    """From the first server to the second, while both run."""
    stub = cast.grpc.stub(ServerServiceStub)
    with cast.stage.step(f"the volume is detached from {FIRST}: ServerService.DetachVolume"):
        request = servers.DetachVolumeRequest(
            id=cast.ids[FIRST], volume_id=cast.ids["volume"], request_id=ids.new()
        )
        await finished(cast, "compute", await stub.DetachVolume(request))
    with cast.stage.step(f"and attached to {SECOND}: ServerService.AttachVolume"):
        wanted = servers.AttachVolumeRequest(
            id=cast.ids[SECOND], volume_id=cast.ids["volume"], request_id=ids.new()
        )
        await finished(cast, "compute", await stub.AttachVolume(wanted))


async def move_floating_ip(cast: Cast) -> None:
    """The same address leads to the second server from now on."""
    with cast.stage.step("the floating IP leads there too: FloatingIpService.UpdateFloatingIp"):
        await cast.grpc.stub(FloatingIpServiceStub).UpdateFloatingIp(
            floating.UpdateFloatingIpRequest(
                id=cast.ids["floating ip"], request_id=ids.new(),
                floating_ip=network.FloatingIp(port_id=cast.ids["second port"]),
            )
        )  # fmt: skip


async def device(cast: Cast, server: str) -> str:
    """The device that the volume is in a server, as the cloud says."""
    request = servers.GetServerRequest(id=cast.ids[server])
    found = await cast.grpc.stub(ServerServiceStub).GetServer(request)
    for volume in found.volumes:
        if volume.volume_id == cast.ids["volume"]:
            return f"/dev/{volume.device.removeprefix('/dev/')}"
    raise Failed(f"the server {server} does not have the volume")


async def console_until_ready(cast: Cast, server: str) -> None:
    """Show what a booting server says of itself, until it says that it is ready."""
    with cast.stage.step(f"{server} boots: ServerService.FollowConsole"):
        text = ""
        request = servers.FollowConsoleRequest(id=cast.ids[server])
        answers = cast.grpc.stub(ServerServiceStub).FollowConsole(request, timeout=150)
        async for answer in answers:
            text += answer.output
            *lines, text = text.split("\n")
            for line in lines:
                if "weft-guest:" in line:
                    cast.stage.say(f"  | {line[line.index('weft-guest:') :].strip()}")
            if any("weft-guest: READY" in line for line in lines):
                await answers.aclose()
                return
        raise Failed(f"the console of {server} ended before it was ready")


async def console_end(cast: Cast, server: str, lines: int) -> list[str]:
    """The last lines of a server's console."""
    request = servers.GetConsoleOutputRequest(id=cast.ids[server], lines=lines)
    answer = await cast.grpc.stub(ServerServiceStub).GetConsoleOutput(request)
    return answer.output.splitlines()
