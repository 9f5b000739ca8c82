"""Projects with one of everything, and the administrator who purges them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mesh import ids
from mesh.channel import Client
from tests.access.conftest import Mesh
from weft.compute.v1 import (
    flavor_service_pb2,
    flavor_service_pb2_grpc,
    server_group_service_pb2,
    server_group_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)
from weft.identity.v1 import application_credential_service_pb2 as credentials_pb
from weft.identity.v1 import project_service_pb2 as pb
from weft.identity.v1.application_credential_service_pb2_grpc import ApplicationCredentialServiceStub
from weft.identity.v1.credential_service_pb2 import CreateCredentialRequest
from weft.identity.v1.credential_service_pb2_grpc import CredentialServiceStub
from weft.identity.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.image.v1 import image_service_pb2, image_service_pb2_grpc
from weft.network.v1 import (
    floating_ip_service_pb2,
    floating_ip_service_pb2_grpc,
    network_service_pb2,
    network_service_pb2_grpc,
    port_service_pb2,
    port_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
    security_group_service_pb2,
    security_group_service_pb2_grpc,
    subnet_service_pb2,
    subnet_service_pb2_grpc,
)
from weft.operation.v1 import operation_pb2

# The types of all that it has.
EVERYTHING = {
    *("server", "server_group", "image", "floating_ip", "router", "port", "subnet", "network"),
    *("security_group", "application_credential", "credential"),
}


@dataclass
class Tenant:
    """A project, somebody with all roles in it, and what they make."""

    mesh: Mesh
    project_id: str
    persona: str

    @asynccontextmanager
    async def calls(self, service: str) -> AsyncIterator[Client]:
        async with self.mesh.client(service, self.persona) as client:
            yield client

    async def furnish(self, outside: str) -> None:
        """One of everything, on an external network that is there."""
        async with self.calls("network") as client:
            await self._networks(client, outside)
        async with self.calls("image") as client:
            images = client.stub(image_service_pb2_grpc.ImageServiceStub)
            image = await images.CreateImage(
                image_service_pb2.CreateImageRequest(disk_format="DISK_FORMAT_RAW", hidden=True)
            )
            await images.UploadImage(content(image.id))
        async with self.calls("compute") as client:
            groups = client.stub(server_group_service_pb2_grpc.ServerGroupServiceStub)
            group = await groups.CreateServerGroup(
                server_group_service_pb2.CreateServerGroupRequest(
                    name="g", policy="SERVER_GROUP_POLICY_AFFINITY"
                )
            )
            servers = client.stub(server_service_pb2_grpc.ServerServiceStub)
            wish = server_service_pb2.CreateServerRequest(
                name="s", flavor_id=await flavor(self.mesh), image_id=image.id, no_network=True
            )
            wish.server_group_id = group.id
            await servers.CreateServer(wish)
        async with self.calls("identity") as client:
            stub = client.stub(ApplicationCredentialServiceStub)
            await stub.CreateApplicationCredential(
                credentials_pb.CreateApplicationCredentialRequest(name=ids.new(), roles=["reader"])
            )
            keeping = client.stub(CredentialServiceStub)
            kept = CreateCredentialRequest(type="certificate", blob="x", project_id=self.project_id)
            await keeping.CreateCredential(kept)

    async def _networks(self, client: Client, outside: str) -> None:
        networks = client.stub(network_service_pb2_grpc.NetworkServiceStub)
        network = await networks.CreateNetwork(network_service_pb2.CreateNetworkRequest(name="n"))
        subnets = client.stub(subnet_service_pb2_grpc.SubnetServiceStub)
        subnet = await subnets.CreateSubnet(
            subnet_service_pb2.CreateSubnetRequest(network_id=network.id, cidr="10.1.0.0/24")
        )
        groups = client.stub(security_group_service_pb2_grpc.SecurityGroupServiceStub)
        await groups.CreateSecurityGroup(security_group_service_pb2.CreateSecurityGroupRequest(name="web"))
        routers = client.stub(router_service_pb2_grpc.RouterServiceStub)
        router = await routers.CreateRouter(router_service_pb2.CreateRouterRequest(name="r"))
        await routers.SetRouterGateway(
            router_service_pb2.SetRouterGatewayRequest(id=router.id, gateway={"network_id": outside})
        )
        await routers.AddRouterInterface(
            router_service_pb2.AddRouterInterfaceRequest(id=router.id, subnet_id=subnet.id)
        )
        ports = client.stub(port_service_pb2_grpc.PortServiceStub)
        port = await ports.CreatePort(port_service_pb2.CreatePortRequest(network_id=network.id))
        addresses = client.stub(floating_ip_service_pb2_grpc.FloatingIpServiceStub)
        await addresses.CreateFloatingIp(
            floating_ip_service_pb2.CreateFloatingIpRequest(network_id=outside, port_id=port.id)
        )


async def content(image_id: str) -> AsyncIterator[image_service_pb2.UploadImageRequest]:
    part = image_service_pb2.UploadImageRequest(id=image_id)
    part.file.data = b"\1" * (1 << 16)
    yield part


async def flavor(mesh: Mesh) -> str:
    async with mesh.client("compute", "system admin") as admin:
        stub = admin.stub(flavor_service_pb2_grpc.FlavorServiceStub)
        request = flavor_service_pb2.CreateFlavorRequest(name=ids.new(), vcpus=1, memory_mib=64)
        return (await stub.CreateFlavor(request)).id


async def tenant(mesh: Mesh) -> Tenant:
    """Somebody new in a project of their own."""
    async with mesh.client("identity", "system admin") as admin:
        stub = admin.stub(ProjectServiceStub)
        project = await stub.CreateProject(pb.CreateProjectRequest(name=ids.new()))
        mesh.tokens[project.id] = await mesh.person(admin, "admin", project_id=project.id)
    return Tenant(mesh, project.id, project.id)


class Operator:
    """The system's administrator, who purges."""

    def __init__(self, client: Client) -> None:
        self.projects: Any = client.stub(ProjectServiceStub)
        self.operations: Any = client.stub(OperationServiceStub)

    async def holdings(self, project_id: str) -> dict[str, pb.Holding]:
        found = await self.projects.GetProjectHoldings(pb.GetProjectHoldingsRequest(id=project_id))
        return {each.id: each for each in found.holdings}

    async def purge(self, project_id: str, **asked: Any) -> operation_pb2.Operation:
        """The operation once it has ended."""
        begun = await self.projects.PurgeProject(pb.PurgeProjectRequest(id=project_id, **asked))
        return await self.ended(begun.operation_id)

    async def ended(self, operation_id: str) -> operation_pb2.Operation:
        watch = self.operations.WatchOperation(operation_pb2.WatchOperationRequest(id=operation_id))
        return [each async for each in watch][-1]

    async def project(self, project_id: str) -> Any:
        return await self.projects.GetProject(pb.GetProjectRequest(id=project_id))


@asynccontextmanager
async def operator(mesh: Mesh, persona: str = "system admin") -> AsyncIterator[Operator]:
    async with mesh.client("identity", persona) as client:
        yield Operator(client)


async def furnished(mesh: Mesh) -> Tenant:
    """Somebody new who has one of everything."""
    found = await tenant(mesh)
    await found.furnish(await external(mesh))
    return found


async def external(mesh: Mesh) -> str:
    """An external network of somebody else, made once."""
    async with mesh.client("network", "project admin") as client:
        networks = client.stub(network_service_pb2_grpc.NetworkServiceStub)
        there = await networks.ListNetworks(network_service_pb2.ListNetworksRequest(external=True))
        if there.networks:
            return there.networks[0].id
        request = network_service_pb2.CreateNetworkRequest(name="outside", external=True)
        network = await networks.CreateNetwork(request)
        subnets = client.stub(subnet_service_pb2_grpc.SubnetServiceStub)
        cidr = subnet_service_pb2.CreateSubnetRequest(network_id=network.id, cidr="198.18.0.0/16")
        await subnets.CreateSubnet(cidr)
        return network.id


def state(operation: operation_pb2.Operation) -> str:
    """How it ended."""
    return operation_pb2.OperationState.Name(operation.state).removeprefix("OPERATION_STATE_")
