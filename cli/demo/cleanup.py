"""All is deleted again, half of it by REST and half by gRPC."""

from cli.demo import by_grpc
from cli.demo.by_rest import FIRST, SECOND
from cli.demo.cast import Cast
from mesh import ids
from weft.block.v1 import volume_service_pb2 as volumes
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.compute.v1 import server_service_pb2 as servers
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.network.v1 import floating_ip_service_pb2 as floating
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub

# What a project may have, and where each is listed.
_LISTS = {
    "servers": "/compute/v1/servers",
    "key_pairs": "/compute/v1/keyPairs",
    "volumes": "/block/v1/volumes",
    "floating_ips": "/network/v1/floatingIps",
    "routers": "/network/v1/routers",
    "ports": "/network/v1/ports",
    "subnets": "/network/v1/subnets",
    "images": "/image/v1/images",
}


async def delete(cast: Cast) -> None:
    """Servers first: what they use cannot go before them."""
    await _servers(cast)
    rest, known, stage = cast.rest, cast.ids, cast.stage
    with stage.step("the floating IP: FloatingIpService.DeleteFloatingIp"):
        await cast.grpc.stub(FloatingIpServiceStub).DeleteFloatingIp(
            floating.DeleteFloatingIpRequest(id=known["floating ip"], request_id=ids.new())
        )
    with stage.step("the volume: VolumeService.DeleteVolume"):
        request = volumes.DeleteVolumeRequest(id=known["volume"], request_id=ids.new())
        await by_grpc.finished(cast, "block", await cast.grpc.stub(VolumeServiceStub).DeleteVolume(request))
    with stage.step("router, network, security group: DELETE /network/v1/..."):
        interface = {"subnet_id": known["subnet"]}
        await rest.post(f"/network/v1/routers/{known['router']}:removeInterface", interface)
        await rest.delete(f"/network/v1/routers/{known['router']}")
        await rest.delete(f"/network/v1/networks/{known['network']}")
        await rest.delete(f"/network/v1/securityGroups/{known['group']}")
    with stage.step("key pair and image: DELETE /compute/v1/keyPairs/demo, /image/v1/images/..."):
        await rest.delete("/compute/v1/keyPairs/demo")
        await rest.delete(f"/image/v1/images/{known['image']}")


async def _servers(cast: Cast) -> None:
    stub = cast.grpc.stub(ServerServiceStub)
    for name in (FIRST, SECOND):
        with cast.stage.step(f"the server {name}: ServerService.DeleteServer"):
            request = servers.DeleteServerRequest(id=cast.ids[name], request_id=ids.new())
            await by_grpc.finished(cast, "compute", await stub.DeleteServer(request))


async def nothing_listed(cast: Cast) -> None:
    """The project's lists are empty, but for what belongs to others and is shared with it."""
    left = []
    for name, path in _LISTS.items():
        items = (await cast.rest.get(path)).get(name, [])
        project = cast.ids["project"]
        left += [f"{name}: {item['id']}" for item in items if item.get("project_id", project) == project]
    cast.stage.proof("what the project still has", left, [])
