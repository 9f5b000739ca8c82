"""People move in: each gets a project, a network with a way out, and an image."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

from cli.cloud import furnish, health
from mesh import ids
from mesh.channel import Client, connect
from tests.chaos.calls import Caller
from tests.chaos.cloud import ChaosCloud
from tests.chaos.deeds.hands import Place
from tests.chaos.figures import Figures
from tests.chaos.people import Person
from tests.chaos.told import Presence, Thing, Told
from weft.compute.v1 import flavor_service_pb2 as flavors
from weft.compute.v1.flavor_service_pb2_grpc import FlavorServiceStub
from weft.identity.v1 import project_service_pb2 as projects
from weft.identity.v1 import role_service_pb2 as roles
from weft.identity.v1 import token_service_pb2 as tokens
from weft.identity.v1 import user_service_pb2 as users
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub
from weft.identity.v1.user_service_pb2_grpc import UserServiceStub
from weft.image.v1 import image_service_pb2 as images
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.network.v1 import network_service_pb2 as networks
from weft.network.v1 import router_service_pb2 as routers
from weft.network.v1 import subnet_service_pb2 as subnets
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub
from weft.network.v1.router_service_pb2_grpc import RouterServiceStub
from weft.network.v1.subnet_service_pb2_grpc import SubnetServiceStub

_CHUNK = 1 << 20
_IMAGE = "tiny"


async def people(
    cloud: ChaosCloud, count: int, image: Path, web: str, told: Told, figures: Figures, seed: int
) -> list[Person]:
    """So many people, each with what they need; the chances that they take follow from the seed."""
    await furnish.furnish(cloud.layout)
    made = []
    async with await health.administrator(cloud.layout) as admin:
        sizes = await _flavors(admin)
        for number in range(1, count + 1):
            name = f"p{number}"
            rng = random.Random(f"{seed}/{name}")
            caller = await _caller(cloud, admin, name, figures, rng)
            place = await _place(caller.client, caller.project_id, sizes, image, web)
            told.things.append(_as_told(place, image))
            made.append(Person(name, caller, place, told, figures, rng))
    return made


async def _flavors(admin: Client) -> tuple[str, str]:
    """The smallest, and one with more memory on a disk that is no larger, so that there is a way back."""
    stub = admin.stub(FlavorServiceStub)
    tiny = (await stub.ListFlavors(flavors.ListFlavorsRequest(name="tiny"))).flavors[0]
    more = flavors.CreateFlavorRequest(
        name="more", vcpus=tiny.vcpus, memory_mib=tiny.memory_mib + 32, disk_gib=tiny.disk_gib
    )
    return tiny.id, (await stub.CreateFlavor(more)).id


async def _caller(
    cloud: ChaosCloud, admin: Client, name: str, figures: Figures, rng: random.Random
) -> Caller:
    """A member of a project of their own, logged in."""
    project_id, password = await _account(admin, name)
    client = connect(cloud.layout.endpoint, cloud.layout.ca)

    async def login() -> str:
        credential = tokens.PasswordCredential(user_name=name, password=password)
        request = tokens.CreateTokenRequest(password=credential, scope={"project_id": project_id})
        return (await client.stub(TokenServiceStub).CreateToken(request, timeout=10)).token

    client.token = await login()
    return Caller(client, project_id, login, figures, rng)


async def _account(admin: Client, name: str) -> tuple[str, str]:
    """A project with one member; its id, and the member's password."""
    password = f"{name} {ids.new()}"
    project = await admin.stub(ProjectServiceStub).CreateProject(projects.CreateProjectRequest(name=name))
    user = await admin.stub(UserServiceStub).CreateUser(users.CreateUserRequest(name=name, password=password))
    grant = roles.GrantRoleRequest(user_id=user.id, role_name="member", project_id=project.id)
    await admin.stub(RoleServiceStub).GrantRole(grant)
    return project.id, password


async def _place(client: Client, project_id: str, sizes: tuple[str, str], image: Path, web: str) -> Place:
    nets = client.stub(NetworkServiceStub)
    found = await nets.ListNetworks(networks.ListNetworksRequest(name=furnish.EXTERNAL))
    external_id = found.networks[0].id
    network_id = await network(client, external_id)
    return Place(project_id, network_id, external_id, await _image(client, image), sizes, web)


def _as_told(place: Place, image: Path) -> Thing:
    """A person's image, which is there from the beginning to the end."""
    sha256 = hashlib.sha256(image.read_bytes()).hexdigest()
    return Thing(
        "image", _IMAGE, place.project_id, place.image_id, Presence.THERE, status="ACTIVE", sha256=sha256
    )


async def network(client: Client, external_id: str) -> str:
    """A network with a way out."""
    nets = client.stub(NetworkServiceStub)
    network = await nets.CreateNetwork(networks.CreateNetworkRequest(name="net"))
    request = subnets.CreateSubnetRequest(network_id=network.id, cidr="10.0.0.0/24")
    subnet = await client.stub(SubnetServiceStub).CreateSubnet(request)
    stub = client.stub(RouterServiceStub)
    wanted = routers.CreateRouterRequest(name="router", gateway={"network_id": external_id})
    router = await stub.CreateRouter(wanted)
    await stub.AddRouterInterface(routers.AddRouterInterfaceRequest(id=router.id, subnet_id=subnet.id))
    return network.id


async def public_image(client: Client, path: Path) -> str:
    """The image, for every project."""
    id = await _image(client, path)
    request = images.UpdateImageRequest(id=id, image={"visibility": "VISIBILITY_PUBLIC"})
    request.update_mask.paths.append("visibility")
    await client.stub(ImageServiceStub).UpdateImage(request)
    return id


async def _image(client: Client, path: Path) -> str:
    stub = client.stub(ImageServiceStub)
    format = "DISK_FORMAT_QCOW2" if path.suffix == ".qcow2" else "DISK_FORMAT_RAW"
    image = await stub.CreateImage(images.CreateImageRequest(name=_IMAGE, disk_format=format))
    content = await asyncio.to_thread(path.read_bytes)

    async def chunks() -> AsyncIterator[images.UploadImageRequest]:
        yield images.UploadImageRequest(id=image.id)
        for begin in range(0, len(content), _CHUNK):
            part = images.UploadImageRequest()
            part.file.data = content[begin : begin + _CHUNK]
            yield part

    await stub.UploadImage(chunks())
    return image.id
