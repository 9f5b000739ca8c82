"""What a fresh one-machine cloud begins with: flavors, and the network that floating IPs come from."""

from cli.cloud import health
from cli.cloud.layout import OUTSIDE, Layout
from mesh import ids
from mesh.channel import Client
from mesh.errors import CloudError
from weft.compute.v1 import flavor_service_pb2, flavor_service_pb2_grpc
from weft.network.v1 import (
    network_service_pb2,
    network_service_pb2_grpc,
    resources_pb2,
    subnet_service_pb2,
    subnet_service_pb2_grpc,
)

EXTERNAL = "outside"
# Name, vCPUs, memory in MiB, disk in GiB.
FLAVORS = (("tiny", 1, 128, 1), ("small", 1, 512, 5), ("medium", 2, 2048, 20), ("large", 4, 8192, 40))


async def furnish(layout: Layout) -> None:
    """Make what is missing, as the administrator: flavors of the whole system, a network of his project."""
    async with await health.administrator(layout) as client:
        await _flavors(client)
    async with await health.administrator(layout, project="admin") as client:
        await _external(client)


async def _flavors(client: Client) -> None:
    stub = client.stub(flavor_service_pb2_grpc.FlavorServiceStub)
    there = {flavor.name for flavor in (await stub.ListFlavors(_all_flavors())).flavors}
    for name, vcpus, memory, disk in FLAVORS:
        if name not in there:
            await stub.CreateFlavor(
                flavor_service_pb2.CreateFlavorRequest(
                    name=name, vcpus=vcpus, memory_mib=memory, disk_gib=disk, request_id=ids.new()
                )
            )


def _all_flavors() -> flavor_service_pb2.ListFlavorsRequest:
    return flavor_service_pb2.ListFlavorsRequest(page_size=1000)


async def _external(client: Client) -> None:
    """The flat network that is in the namespace `outside`; its gateway is that namespace."""
    networks = client.stub(network_service_pb2_grpc.NetworkServiceStub)
    found = (await networks.ListNetworks(network_service_pb2.ListNetworksRequest(name=EXTERNAL))).networks
    if not found:
        request = network_service_pb2.CreateNetworkRequest(
            name=EXTERNAL, type=resources_pb2.NETWORK_TYPE_FLAT, physical_network="external", external=True,
            shared=True, request_id=ids.new(),
        )  # fmt: skip
        found = [await networks.CreateNetwork(request)]
    try:
        pool = resources_pb2.AllocationPool(start=f"{OUTSIDE}.10", end=f"{OUTSIDE}.250")
        await client.stub(subnet_service_pb2_grpc.SubnetServiceStub).CreateSubnet(
            subnet_service_pb2.CreateSubnetRequest(
                network_id=found[0].id, name=f"{EXTERNAL}-v4", cidr=f"{OUTSIDE}.0/24", dhcp_disabled=True,
                gateway_ip=f"{OUTSIDE}.1", allocation_pools=[pool], request_id=ids.new(),
            )
        )  # fmt: skip
    except CloudError as error:
        if error.reason != "CIDR_OVERLAP":  # it is there
            raise
