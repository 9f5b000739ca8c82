"""A whole cloud on this machine, as `weft up` makes it, and people to use it."""

import asyncio
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cli.cloud import health
from cli.cloud.layout import Layout
from cli.cloud.processes import parts
from cli.demo import leftovers
from mesh import ids
from mesh.channel import Client, connect
from weft.compute.v1 import (
    flavor_service_pb2,
    flavor_service_pb2_grpc,
    operation_service_pb2_grpc,
    resources_pb2,
    server_service_pb2,
    server_service_pb2_grpc,
)
from weft.identity.v1 import (
    project_service_pb2,
    project_service_pb2_grpc,
    role_service_pb2,
    role_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    user_service_pb2,
    user_service_pb2_grpc,
)
from weft.image.v1 import image_service_pb2, image_service_pb2_grpc
from weft.network.v1 import (
    network_service_pb2,
    network_service_pb2_grpc,
    subnet_service_pb2,
    subnet_service_pb2_grpc,
)
from weft.operation.v1 import operation_pb2

ROOT = Path(__file__).resolve().parents[2]
GUEST_IMAGE = ROOT / ".cache" / "guest" / "weft-tiny.qcow2"
_CHUNK = 1 << 20
SUCCEEDED = operation_pb2.OPERATION_STATE_SUCCEEDED


def weft(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """The command line, as people type it."""
    command = [str(Path(sys.executable).with_name("weft")), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"{words}: {done.stderr or done.stdout}"
    return done


def _free_port() -> int:
    """A port whose neighbours, 8 and 9 above, are free too."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        if port < 65000 and all(_is_free(port + step) for step in (0, 8, 9)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def cloud(hosts: int = 1, hypervisor: str = "tcg", more: tuple[str, ...] = ()) -> Iterator["Cloud"]:
    """Up within the block, with `more` settings; gone after it, and nothing left."""
    with tempfile.TemporaryDirectory(prefix="wt-") as folder:
        made = Cloud(Layout(Path(folder) / "c", hosts, hypervisor, _free_port(), more))
        try:
            made.up()
            yield made
        finally:
            weft("down", "--state", str(made.layout.state), "--purge")
        assert leftovers.after_the_end(made.layout) == []


@dataclass
class Cloud:
    """One that runs."""

    layout: Layout

    def up(self) -> None:
        """Start what does not run."""
        layout = self.layout
        words = ["--hosts", str(layout.hosts), "--hypervisor", layout.hypervisor, "--port", str(layout.port)]
        more = [word for setting in layout.more for word in ("--set", setting)]
        weft("up", "--state", str(layout.state), *words, *more, "--detach")

    def pid(self, part: str) -> int:
        """The process id of `control`, `gateway` or a host."""
        found = next(p for p in parts(self.layout) if p.name == part)
        assert found.pid is not None, f"{part} does not run"
        return found.pid

    @asynccontextmanager
    async def person(self, name: str, role: str = "member") -> AsyncIterator["Person"]:
        """Somebody new, with a project of their own."""
        async with await health.administrator(self.layout) as admin:
            project = await admin.stub(project_service_pb2_grpc.ProjectServiceStub).CreateProject(
                project_service_pb2.CreateProjectRequest(name=name)
            )
            user = await admin.stub(user_service_pb2_grpc.UserServiceStub).CreateUser(
                user_service_pb2.CreateUserRequest(name=name, password=f"{name} {name}")
            )
            grant = role_service_pb2.GrantRoleRequest(user_id=user.id, role_name=role, project_id=project.id)
            await admin.stub(role_service_pb2_grpc.RoleServiceStub).GrantRole(grant)
        async with connect(self.layout.endpoint, self.layout.ca) as client:
            request = token_service_pb2.CreateTokenRequest(
                password={"user_name": name, "password": f"{name} {name}"},
                scope={"project_id": project.id},
            )
            answer = await client.stub(token_service_pb2_grpc.TokenServiceStub).CreateToken(request)
            client.token = answer.token
            yield Person(client, project.id, answer.token)


@dataclass
class Person:
    """Somebody with a token for one project, as they use the cloud: by gRPC through the gateway."""

    client: Client
    project_id: str
    token: str

    @property
    def servers(self) -> server_service_pb2_grpc.ServerServiceStub:
        return self.client.stub(server_service_pb2_grpc.ServerServiceStub)

    async def network(self, cidr: str, name: str = "net") -> str:
        """A network with one subnet; its id."""
        stub = self.client.stub(network_service_pb2_grpc.NetworkServiceStub)
        network = await stub.CreateNetwork(network_service_pb2.CreateNetworkRequest(name=name))
        subnet = subnet_service_pb2.CreateSubnetRequest(network_id=network.id, cidr=cidr)
        await self.client.stub(subnet_service_pb2_grpc.SubnetServiceStub).CreateSubnet(subnet)
        return network.id

    async def image(self, name: str = "tiny", path: Path = GUEST_IMAGE) -> str:
        """The guest image, uploaded; its id."""
        stub = self.client.stub(image_service_pb2_grpc.ImageServiceStub)
        image = await stub.CreateImage(
            image_service_pb2.CreateImageRequest(name=name, disk_format="DISK_FORMAT_QCOW2")
        )

        async def chunks() -> AsyncIterator[image_service_pb2.UploadImageRequest]:
            yield image_service_pb2.UploadImageRequest(id=image.id)
            content = await asyncio.to_thread(path.read_bytes)
            for begin in range(0, len(content), _CHUNK):
                part = image_service_pb2.UploadImageRequest()
                part.file.data = content[begin : begin + _CHUNK]
                yield part

        await stub.UploadImage(chunks())
        return image.id

    async def flavor(self, name: str = "tiny") -> str:
        """The id of a flavor."""
        stub = self.client.stub(flavor_service_pb2_grpc.FlavorServiceStub)
        return (await stub.ListFlavors(flavor_service_pb2.ListFlavorsRequest(name=name))).flavors[0].id

    async def boot(self, **fields: object) -> resources_pb2.Server:
        """A server that runs."""
        request = server_service_pb2.CreateServerRequest(request_id=ids.new(), **fields)
        server = await self.servers.CreateServer(request)
        ended = await self.ended(server.operation_id)
        assert ended.state == SUCCEEDED, ended.error
        return await self.servers.GetServer(server_service_pb2.GetServerRequest(id=server.id))

    async def ended(self, operation_id: str) -> operation_pb2.Operation:
        """The operation once it has ended."""
        watch = self.client.stub(operation_service_pb2_grpc.OperationServiceStub).WatchOperation
        last = operation_pb2.Operation()
        async for last in watch(operation_pb2.WatchOperationRequest(id=operation_id)):  # noqa: B007
            pass
        return last

    async def delete(self, server_id: str) -> None:
        """Gone when this returns."""
        request = server_service_pb2.DeleteServerRequest(id=server_id)
        server = await self.servers.DeleteServer(request)
        ended = await self.ended(server.operation_id)
        assert ended.state == SUCCEEDED, ended.error

    async def console_says(self, server_id: str, *words: str, within: float = 90) -> str:
        """The console's text once it holds one of these words."""
        text = ""
        request = server_service_pb2.FollowConsoleRequest(id=server_id)
        with suppress(TimeoutError):  # said below, with what the console did say
            async with asyncio.timeout(within):
                async for part in self.servers.FollowConsole(request):
                    text += part.output
                    if any(word in text for word in words):
                        return text
        raise AssertionError(f"the console never said {words}; its end: {text[-2000:]}")
