"""Somebody who imports images, and a service that may fetch from 127.0.0.1."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from mesh import ids
from mesh.certificates import Authority
from mesh.settings import Settings
from services.image.__main__ import build
from tests.services.harness import House, house, person
from tests.services.image.conftest import Images
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.operation.v1 import operation_pb2


@dataclass
class Importer(Images):
    """One who follows what comes of it."""

    operations: Any

    async def begin(self, image_id: str, uri: str, **fields: Any) -> pb.Image:
        """IMPORTING, and answered."""
        return await self.stub.ImportImage(verbs.ImportImageRequest(id=image_id, uri=uri, **fields))

    async def ended(self, operation_id: str) -> operation_pb2.Operation:
        """The operation at its end."""
        request = operation_pb2.WatchOperationRequest(id=operation_id)
        seen = operation_pb2.Operation()
        async for seen in self.operations.WatchOperation(request):  # noqa: B007 - the last counts
            pass
        return seen

    async def bring(self, image_id: str, uri: str, **fields: Any) -> operation_pb2.Operation:
        """The operation of an import at its end."""
        return await self.ended((await self.begin(image_id, uri, **fields)).operation_id)

    async def cancel(self, operation_id: str) -> None:
        """Ask for it to be undone."""
        await self.operations.CancelOperation(operation_pb2.CancelOperationRequest(id=operation_id))


def importer(running: House) -> Importer:
    """A member of a project of its own."""
    caller = person(ids.new(), "member")
    client = running.user("image", caller)
    return Importer(client.stub(ImageServiceStub), caller.project_id, client.stub(OperationServiceStub))


@asynccontextmanager
async def fetching(
    settings: Settings, authority: Authority, allowed: Iterable[str] = ("127.0.0.1/32",), **said: Any
) -> AsyncIterator[House]:
    """An image service that may fetch from these networks too."""
    image = structs.replace(settings.image, import_from=list(allowed), **said)
    async with house(structs.replace(settings, image=image), authority, {"image": build}) as running:
        yield running


def state(operation: operation_pb2.Operation) -> str:
    """The word for where it is."""
    return operation_pb2.OperationState.Name(operation.state).removeprefix("OPERATION_STATE_")
