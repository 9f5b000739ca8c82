"""Two projects on one cloud: whatever one has, the other cannot tell it from what does not exist."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from mesh import contract, ids
from mesh.channel import Client
from mesh.contract import Method
from mesh.errors import CloudError
from tests.access.conftest import Mesh
from tests.access.test_matrix import all_methods
from weft.compute.v1 import (
    flavor_service_pb2,
    flavor_service_pb2_grpc,
    server_group_service_pb2,
    server_group_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)
from weft.image.v1 import image_service_pb2, image_service_pb2_grpc
from weft.network.v1 import (
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
from weft.options.v1 import access_pb2

pytestmark = pytest.mark.asyncio(loop_scope="package")

INTRUDER = "another project's admin"
# RPCs by which each noun is reached; the field that names it.
FIELDS = {
    "image": ("weft.image.v1.", {"id", "image_id"}, "ImageService"),
    "network": ("weft.network.v1.", {"id"}, "NetworkService"),
    "subnet": ("weft.network.v1.", {"id"}, "SubnetService"),
    "port": ("weft.network.v1.", {"id"}, "PortService"),
    "router": ("weft.network.v1.", {"id"}, "RouterService"),
    "security_group": ("weft.network.v1.", {"id"}, "SecurityGroupService"),
    "server": ("weft.compute.v1.", {"id"}, "ServerService"),
    "server_group": ("weft.compute.v1.", {"id"}, "ServerGroupService"),
    "password": ("weft.compute.v1.", {"server_id"}, "PasswordService"),
    "operation": ("weft.compute.v1.", {"id"}, "OperationService"),
}


class Owner:
    """A member of `ours`, and what they made."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.made: dict[str, str] = {}

    async def make_all(self) -> None:
        """One of each noun."""
        async with self.mesh.client("network", "project member") as client:
            await self._networks(client)
        async with self.mesh.client("image", "project member") as client:
            await self._image(client)
        async with self.mesh.client("compute", "project member") as client:
            await self._server(client)
            groups = client.stub(server_group_service_pb2_grpc.ServerGroupServiceStub)
            wish = server_group_service_pb2.CreateServerGroupRequest(
                name="g", policy="SERVER_GROUP_POLICY_AFFINITY"
            )
            self.made["server_group"] = (await groups.CreateServerGroup(wish)).id

    async def _networks(self, client: Client) -> None:
        stub = client.stub(network_service_pb2_grpc.NetworkServiceStub)
        network = await stub.CreateNetwork(network_service_pb2.CreateNetworkRequest(name="n"))
        subnets = client.stub(subnet_service_pb2_grpc.SubnetServiceStub)
        request = subnet_service_pb2.CreateSubnetRequest(network_id=network.id, cidr="10.1.0.0/24")
        subnet = await subnets.CreateSubnet(request)
        ports = client.stub(port_service_pb2_grpc.PortServiceStub)
        port = await ports.CreatePort(port_service_pb2.CreatePortRequest(network_id=network.id))
        routers = client.stub(router_service_pb2_grpc.RouterServiceStub)
        router = await routers.CreateRouter(router_service_pb2.CreateRouterRequest(name="r"))
        groups = client.stub(security_group_service_pb2_grpc.SecurityGroupServiceStub)
        group = await groups.CreateSecurityGroup(
            security_group_service_pb2.CreateSecurityGroupRequest(name="web")
        )
        for noun, found in (
            ("network", network),
            ("subnet", subnet),
            ("port", port),
            ("router", router),
            ("security_group", group),
        ):
            self.made[noun] = found.id

    async def _image(self, client: Client) -> None:
        stub = client.stub(image_service_pb2_grpc.ImageServiceStub)
        image = await stub.CreateImage(image_service_pb2.CreateImageRequest(disk_format="DISK_FORMAT_RAW"))
        content = image_service_pb2.UploadImageRequest(id=image.id)
        content.file.data = b"\1" * (1 << 20)

        async def chunks() -> Any:
            yield content

        await stub.UploadImage(chunks())
        self.made["image"] = image.id

    async def _server(self, client: Client) -> None:
        async with self.mesh.client("compute", "system admin") as admin:
            flavors = admin.stub(flavor_service_pb2_grpc.FlavorServiceStub)
            request = flavor_service_pb2.CreateFlavorRequest(name=ids.new(), vcpus=1, memory_mib=64)
            flavor = await flavors.CreateFlavor(request)
        stub = client.stub(server_service_pb2_grpc.ServerServiceStub)
        server = await stub.CreateServer(
            server_service_pb2.CreateServerRequest(
                name="s", flavor_id=flavor.id, image_id=self.made["image"], no_network=True
            )
        )
        self.made["server"], self.made["operation"] = server.id, server.operation_id
        self.made["password"] = server.id


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def owner(mesh: Mesh) -> Owner:
    owner = Owner(mesh)
    await owner.make_all()
    return owner


def reaching(noun: str) -> list[tuple[Method, str]]:
    """Every RPC for people that names a resource of this noun, and by which field."""
    package, fields, service = FIELDS[noun]
    return [
        (method, name)
        for method in all_methods()
        if method.service == f"{package}{service}" and not method.name.startswith("Create")
        if method.access is not None and method.access.scope == access_pb2.SCOPE_PROJECT
        for name in fields & set(method.request_type.DESCRIPTOR.fields_by_name)
        if not method.client_streaming
    ]


def complete(method: Method, field: str, id: str) -> Any:
    """A request that is valid, so that nothing but whose it is can refuse it."""
    request = method.request_type(**{field: id})
    for name, descriptor in method.request_type.DESCRIPTOR.fields_by_name.items():
        if name == field or descriptor.is_repeated or (name == "port_id" and names_a_subnet(request)):
            continue
        choice = descriptor.containing_oneof
        if name.endswith("_id") and name != "request_id" and not (choice and request.WhichOneof(choice.name)):
            setattr(request, name, ids.new())
        elif name == "name":
            request.name = "x"
        elif name == "uri":
            request.uri = "http://example.invalid/disk"
        elif name in ("type", "status"):
            setattr(request, name, 1)
        elif name in ("gateway", noun_of(method)) and descriptor.message_type is not None:
            getattr(request, name).SetInParent()
            if name == "gateway":
                request.gateway.network_id = ids.new()
            elif "name" in descriptor.message_type.fields_by_name:
                getattr(request, name).name = "renamed"
    return request


def names_a_subnet(request: Any) -> bool:
    return "subnet_id" in request.DESCRIPTOR.fields_by_name and bool(request.subnet_id)


def noun_of(method: Method) -> str:
    name = method.name.removeprefix("Update")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


async def outcome(client: Client, method: Method, request: Any) -> str:
    codec = {
        "request_serializer": method.request_type.SerializeToString,
        "response_deserializer": method.response_type.FromString,
    }
    shape = "unary_stream" if method.server_streaming else "unary_unary"
    call: Callable[..., Any] = client.stub(lambda channel: getattr(channel, shape)(method.path, **codec))
    try:
        if method.server_streaming:
            await anext(call(request, timeout=5), None)
        else:
            answer: Awaitable[Any] = call(request, timeout=10)
            await answer
    except CloudError as error:
        return error.reason
    return "answered"


@pytest.mark.parametrize("noun", FIELDS)
async def test_no_rpc_tells_anothers_resource_from_nothing(mesh: Mesh, owner: Owner, noun: str) -> None:
    methods = reaching(noun)
    assert {method.name.removeprefix("Get") for method, _ in methods if method.name.startswith("Get")}
    service = FIELDS[noun][0].split(".")[1]
    told = []
    async with mesh.client(service, INTRUDER) as intruder:
        for method, name in methods:
            theirs = await outcome(intruder, method, complete(method, name, owner.made[noun]))
            nothing = await outcome(intruder, method, complete(method, name, ids.new()))
            if (theirs, nothing) != ("NOT_FOUND", "NOT_FOUND"):
                told.append(f"{method.name}: {theirs}, and {nothing} for nothing")
    assert told == []


@pytest.mark.parametrize("noun", FIELDS)
async def test_its_owner_finds_each_of_them(mesh: Mesh, owner: Owner, noun: str) -> None:
    service = FIELDS[noun][0].split(".")[1]
    get, by = next(
        found for found in reaching(noun) if found[0].name.lower() == f"get{noun.replace('_', '')}"
    )
    async with mesh.client(service, "project reader") as client:
        assert await outcome(client, get, get.request_type(**{by: owner.made[noun]})) == "answered"
    async with mesh.client(service, "system admin") as client:
        assert await outcome(client, get, get.request_type(**{by: owner.made[noun]})) == "answered"


async def test_lists_hold_what_is_ones_own_and_nothing_else(mesh: Mesh, owner: Owner) -> None:
    lists = [
        ("network", "NetworkService", "ListNetworks", "network"),
        ("image", "ImageService", "ListImages", "image"),
        ("compute", "ServerGroupService", "ListServerGroups", "server_group"),
    ]
    for package, service, name, noun in lists:
        method = contract.method(f"/weft.{package}.v1.{service}/{name}")
        for persona, seen in (("project reader", True), (INTRUDER, False)):
            async with mesh.client(package, persona) as client:
                codec = {
                    "request_serializer": method.request_type.SerializeToString,
                    "response_deserializer": method.response_type.FromString,
                }
                call = client.stub(lambda channel, m=method, c=codec: channel.unary_unary(m.path, **c))
                answer = await call(method.request_type())
            found = {item.id for item in getattr(answer, f"{noun}s")}
            assert (owner.made[noun] in found) is seen
