"""A running image service, two projects, and images in the making."""

import hashlib
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format

from mesh import errors, ids
from mesh.certificates import Authority, Identity
from mesh.channel import Client
from mesh.settings import Settings
from services.image.__main__ import build
from tests.services.harness import House, house, person
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub


@dataclass
class Images:
    """The image service as one person sees it."""

    stub: Any
    project_id: str

    async def create(self, format: int = pb.DISK_FORMAT_RAW, **fields: Any) -> pb.Image:
        """A QUEUED image."""
        return await self.stub.CreateImage(verbs.CreateImageRequest(disk_format=format, **fields))

    async def upload(self, image_id: str, data: bytes, piece: int = 1 << 20) -> pb.Image:
        """Give an image its content."""
        return await self.stub.UploadImage(messages(image_id, data, piece))

    async def make(self, data: bytes, **fields: Any) -> pb.Image:
        """An ACTIVE image with this content."""
        return await self.upload((await self.create(**fields)).id, data)

    async def get(self, image_id: str) -> pb.Image:
        """The image as it is now."""
        return await self.stub.GetImage(verbs.GetImageRequest(id=image_id))

    async def ids(self, **fields: Any) -> set[str]:
        """The ids of a list."""
        return {image.id for image in (await self.stub.ListImages(verbs.ListImagesRequest(**fields))).images}

    async def content(self, image_id: str, **fields: Any) -> bytes:
        """What a download brings."""
        request = verbs.DownloadImageRequest(id=image_id, **fields)
        return b"".join([body.data async for body in self.stub.DownloadImage(request)])

    async def delete(self, image_id: str) -> None:
        """Delete it."""
        await self.stub.DeleteImage(verbs.DeleteImageRequest(id=image_id))


@dataclass
class PlainImages(Images):
    """The same, with contents as plain bytes (mesh/bulk.py)."""

    http: httpx.AsyncClient

    async def upload(self, image_id: str, data: bytes, piece: int = 1 << 20) -> pb.Image:
        """By PUT, of a length that nobody tells."""

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(data), piece):
                yield data[at : at + piece]

        return await self.put(image_id, pieces())

    async def put(self, image_id: str, content: bytes | AsyncIterator[bytes]) -> pb.Image:
        """Any body."""
        answer = await self.http.put(file(image_id), content=content)
        return json_format.ParseDict(_good(answer).json(), pb.Image())

    async def content(self, image_id: str, **fields: Any) -> bytes:
        """By GET."""
        return _good(await self.http.get(file(image_id), params=fields)).content


def file(image_id: str) -> str:
    """The path of a content."""
    return f"/image/v1/images/{image_id}/file"


def _good(answer: httpx.Response) -> httpx.Response:
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        raise errors.from_problem(answer.json())
    return answer


async def messages(
    image_id: str, data: bytes, piece: int = 1 << 20
) -> AsyncIterator[verbs.UploadImageRequest]:
    """An upload's messages, the id in the first only."""
    yield verbs.UploadImageRequest(id=image_id)
    for at in range(0, len(data), piece):
        yield verbs.UploadImageRequest(file=HttpBody(data=data[at : at + piece]))


def files(root: Path) -> set[str]:
    """Names of all files of the image store."""
    return {path.name for path in root.rglob("*") if path.is_file()}


def digest(data: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
async def cloud_house(cloud: Settings, authority: Authority) -> AsyncIterator[House]:
    """A house with an image service."""
    async with house(cloud, authority, {"image": build}) as running:
        yield running


@pytest.fixture
def store(cloud_house: House) -> Path:
    """The directory of contents."""
    return Path(cloud_house.settings.image.store)


def plainly(running: House, identity: Identity, token: str = "", authority: Any = None) -> httpx.AsyncClient:
    """HTTP on the port of contents, as whoever has this certificate; `authority` signed it."""
    leaf = (authority or running.authority).issue(identity)
    trust = ssl.create_default_context(cadata=running.authority.ca_pem.decode())
    trust.load_cert_chain(leaf.certificate_path, leaf.key_path)
    path = running.settings.bulk_address("image").removeprefix("unix:")
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=path, verify=trust),
        base_url="https://image.weft.internal",
        headers={"authorization": f"Bearer {token}"} if token else {},
        timeout=60,
    )


def _images(running: House, roles: Iterable[str], scope: str = "project") -> Images:
    project_id = ids.new()
    client: Client = running.user("image", person(project_id, *roles, scope=scope))
    return Images(client.stub(ImageServiceStub), project_id)


@pytest.fixture
def mine(cloud_house: House) -> Images:
    """The image service as a member of one project sees it."""
    return _images(cloud_house, ["member"])


@pytest.fixture
async def plain(cloud_house: House) -> AsyncIterator[PlainImages]:
    """A member of a project who has contents go as plain bytes."""
    async with plainly_used(cloud_house) as images:
        yield images


@pytest.fixture(params=["messages", "bytes"])
async def either(request: pytest.FixtureRequest, cloud_house: House) -> AsyncIterator[Images]:
    """A member of a project, in either way."""
    if request.param == "messages":
        yield _images(cloud_house, ["member"])
        return
    async with plainly_used(cloud_house) as images:
        yield images


@asynccontextmanager
async def plainly_used(running: House) -> AsyncIterator[PlainImages]:
    """As a member of a project of its own."""
    caller = person(ids.new(), "member")
    stub = running.user("image", caller).stub(ImageServiceStub)
    async with plainly(running, Identity.gateway(), running.people.register(caller)) as http:
        yield PlainImages(stub, caller.project_id, http)


@pytest.fixture
def theirs(cloud_house: House) -> Images:
    """The same as a member of another project sees it."""
    return _images(cloud_house, ["member"])


@pytest.fixture
def admins(cloud_house: House) -> Images:
    """The same as an administrator of a project sees it."""
    return _images(cloud_house, ["admin"])


@pytest.fixture
def system(cloud_house: House) -> Images:
    """The same as an administrator of the whole system sees it."""
    return _images(cloud_house, ["admin"], scope="system")
