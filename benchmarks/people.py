"""Somebody with a project of their own and no limits, who uses a cloud by gRPC through its gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.cloud import Cloud
from cli.cloud import health
from mesh import ids
from mesh.certificates import Authority, Identity
from mesh.channel import Client, connect
from weft.compute.v1 import (
    flavor_service_pb2,
    flavor_service_pb2_grpc,
    operation_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)
from weft.compute.v1.resources_pb2 import Server
from weft.identity.v1 import (
    limit_service_pb2,
    limit_service_pb2_grpc,
    project_service_pb2,
    project_service_pb2_grpc,
    role_service_pb2,
    role_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    user_service_pb2,
    user_service_pb2_grpc,
)
from weft.identity.v1.resources_pb2 import Limit
from weft.image.v1 import image_service_pb2, image_service_pb2_grpc
from weft.network.v1 import (
    network_service_pb2,
    network_service_pb2_grpc,
    subnet_service_pb2,
    subnet_service_pb2_grpc,
)
from weft.operation.v1 import operation_pb2

_CHUNK = 1 << 20
_UNLIMITED = {
    "compute": ("servers", "vcpus", "memory_mib"),
    "network": ("ports",),
    "block": ("volumes", "volume_gib"),
    "image": ("images", "image_bytes"),
}


class Unsuccessful(Exception):
    """An operation did not end as it should: there is nothing to be measured."""


@dataclass(frozen=True)
class Person:
    """`client` holds the token."""

    cloud: Cloud
    client: Client
    name: str
    password: str
    project_id: str

    async def log_in(self) -> str:
        """A new token."""
        request = token_service_pb2.CreateTokenRequest(
            password={"user_name": self.name, "password": self.password},
            scope={"project_id": self.project_id},
        )
        answer = await self.client.stub(token_service_pb2_grpc.TokenServiceStub).CreateToken(request)
        return answer.token

    def directly(self, service: str) -> Client:
        """A service by its own socket, as the gateway calls it: mutual TLS, and this person's token."""
        layout = self.cloud.layout
        leaf = Authority.open_or_create(layout.state / "pki", layout.settings.cloud.name).issue(
            Identity.gateway()
        )
        name = Identity.service(service).dns
        return connect(layout.socket(service), layout.ca, self.client.token, leaf=leaf, server_name=name)

    async def network(self, cidr: str) -> str:
        """A network with one subnet; its id."""
        stub = self.client.stub(network_service_pb2_grpc.NetworkServiceStub)
        network = await stub.CreateNetwork(network_service_pb2.CreateNetworkRequest(name="net"))
        subnet = subnet_service_pb2.CreateSubnetRequest(network_id=network.id, cidr=cidr)
        await self.client.stub(subnet_service_pb2_grpc.SubnetServiceStub).CreateSubnet(subnet)
        return network.id

    async def image(self, content: bytes, disk_format: str) -> str:
        """An image with this content; its id."""
        stub = self.client.stub(image_service_pb2_grpc.ImageServiceStub)
        request = image_service_pb2.CreateImageRequest(name="image", disk_format=disk_format)
        image = await stub.CreateImage(request)

        async def chunks() -> AsyncIterator[image_service_pb2.UploadImageRequest]:
            yield image_service_pb2.UploadImageRequest(id=image.id)
            for begin in range(0, len(content), _CHUNK):
                part = image_service_pb2.UploadImageRequest()
                part.file.data = content[begin : begin + _CHUNK]
                yield part

        await stub.UploadImage(chunks())
        return image.id

    async def flavor(self) -> str:
        """The id of the smallest flavor."""
        stub = self.client.stub(flavor_service_pb2_grpc.FlavorServiceStub)
        return (await stub.ListFlavors(flavor_service_pb2.ListFlavorsRequest(name="tiny"))).flavors[0].id

    async def create_server(self, flavor_id: str, image_id: str, network_id: str) -> Server:
        """A server that is on its way."""
        request = server_service_pb2.CreateServerRequest(
            name="server", flavor_id=flavor_id, image_id=image_id, networks=[{"network_id": network_id}],
            request_id=ids.new(),
        )  # fmt: skip
        return await self.servers.CreateServer(request)

    async def delete_server(self, id: str) -> None:
        """Gone when this returns."""
        request = server_service_pb2.DeleteServerRequest(id=id)
        await self.ended((await self.servers.DeleteServer(request)).operation_id)

    @property
    def servers(self) -> server_service_pb2_grpc.ServerServiceStub:
        """ServerService."""
        return self.client.stub(server_service_pb2_grpc.ServerServiceStub)

    async def ended(self, operation_id: str, watch: Any = None) -> None:
        """Wait until the operation has ended, of compute unless another's `watch` is given. Raises
        Unsuccessful.
        """
        watch = watch or self.client.stub(operation_service_pb2_grpc.OperationServiceStub).WatchOperation
        last = operation_pb2.Operation()
        async for last in watch(operation_pb2.WatchOperationRequest(id=operation_id)):  # noqa: B007
            pass
        if last.state != operation_pb2.OPERATION_STATE_SUCCEEDED:
            raise Unsuccessful(f"{last.kind}: {last.error.message}")


@asynccontextmanager
async def person(cloud: Cloud) -> AsyncIterator[Person]:
    """Somebody new, in a new project."""
    name = f"bench-{ids.new()[:8]}"
    async with await health.administrator(cloud.layout) as admin:
        project = await admin.stub(project_service_pb2_grpc.ProjectServiceStub).CreateProject(
            project_service_pb2.CreateProjectRequest(name=name)
        )
        user = await admin.stub(user_service_pb2_grpc.UserServiceStub).CreateUser(
            user_service_pb2.CreateUserRequest(name=name, password=f"{name} {name}")
        )
        grant = role_service_pb2.GrantRoleRequest(user_id=user.id, role_name="member", project_id=project.id)
        await admin.stub(role_service_pb2_grpc.RoleServiceStub).GrantRole(grant)
        await _without_limits(admin, project.id)
    async with connect(cloud.layout.endpoint, cloud.layout.ca) as client:
        found = Person(cloud, client, name, f"{name} {name}", project.id)
        client.token = await found.log_in()
        yield found


async def _without_limits(admin: Client, project_id: str) -> None:
    stub = admin.stub(limit_service_pb2_grpc.LimitServiceStub)
    for service, resources in _UNLIMITED.items():
        for resource in resources:
            limit = Limit(service=service, resource=resource, project_id=project_id, limit=-1)
            await stub.SetLimit(limit_service_pb2.SetLimitRequest(limit=limit))
