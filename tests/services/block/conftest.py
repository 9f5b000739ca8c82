"""A running block service with two hosts, and the image service and compute as fakes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from mesh import ids
from mesh.caller import Caller
from mesh.certificates import Authority, Identity
from mesh.server import Part, Service
from mesh.settings import ServiceSettings, Settings
from services.block.__main__ import build
from tests.services.block.fakes import FakeHost, FakeImages, FakeServers
from tests.services.harness import House, house, person, until
from weft.block.v1 import attachment_service_pb2 as attachment_verbs
from weft.block.v1 import pool_service_pb2 as pool_verbs
from weft.block.v1 import resources_pb2 as pb
from weft.block.v1 import snapshot_service_pb2 as snapshot_verbs
from weft.block.v1 import volume_service_pb2 as verbs
from weft.block.v1.attachment_service_pb2_grpc import AttachmentServiceStub
from weft.block.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.block.v1.pool_service_pb2_grpc import PoolServiceStub
from weft.block.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.block.v1.volume_transfer_service_pb2_grpc import VolumeTransferServiceStub
from weft.block.v1.volume_type_service_pb2_grpc import VolumeTypeServiceStub
from weft.compute.v1.host_service_pb2_grpc import add_HostServiceServicer_to_server
from weft.compute.v1.server_service_pb2_grpc import add_ServerServiceServicer_to_server
from weft.image.v1.image_service_pb2_grpc import add_ImageServiceServicer_to_server
from weft.image.v1.transfer_service_pb2_grpc import add_TransferServiceServicer_to_server
from weft.node.v1.guest_service_pb2_grpc import add_GuestServiceServicer_to_server
from weft.node.v1.volume_service_pb2_grpc import add_HostVolumeServiceServicer_to_server
from weft.operation.v1 import operation_pb2

GIB = 1 << 30
SETTLED = (pb.VOLUME_STATUS_AVAILABLE, pb.VOLUME_STATUS_IN_USE, pb.VOLUME_STATUS_ERROR)


@dataclass
class Host:
    """A host with a pool."""

    id: str
    pool_id: str
    address: str
    fake: FakeHost


@dataclass
class Cloud:
    """Block, and all that it talks to."""

    house: House
    hosts: list[Host]
    images: FakeImages
    servers: FakeServers

    async def register(self, host: Host, **changes: Any) -> pb.Pool:
        """The host's agent reports its pool."""
        described = {
            "id": host.pool_id, "name": "files", "backend": "file", "host_id": host.id,
            "host_address": host.address, "capacity_bytes": 100 * GIB, **changes,
        }  # fmt: skip
        stub = self.house.node("block", host.id).stub(PoolServiceStub)
        return await stub.RegisterPool(pool_verbs.RegisterPoolRequest(pool=pb.Pool(**described)))


@dataclass
class Block:
    """The block service as one person sees it."""

    volumes: Any
    snapshots: Any
    types: Any
    pools: Any
    attachments: Any
    operations: Any
    transfers: Any
    caller: Caller

    async def create(self, size_gib: int = 1, **fields: Any) -> pb.Volume:
        """A CREATING volume."""
        return await self.volumes.CreateVolume(verbs.CreateVolumeRequest(size_gib=size_gib, **fields))

    async def make(self, size_gib: int = 1, **fields: Any) -> pb.Volume:
        """A volume, made."""
        return await self.settled((await self.create(size_gib, **fields)).id)

    async def get(self, id: str) -> pb.Volume:
        """The volume as it is now."""
        return await self.volumes.GetVolume(verbs.GetVolumeRequest(id=id))

    async def settled(self, id: str) -> pb.Volume:
        """The volume once nothing is under way on it."""

        async def at_rest() -> bool:
            return not (await self.get(id)).operation_id

        await until(at_rest)
        return await self.get(id)

    async def delete(self, id: str, **fields: Any) -> pb.Volume:
        """Begin to delete it."""
        return await self.volumes.DeleteVolume(verbs.DeleteVolumeRequest(id=id, **fields))

    async def extend(self, id: str, size_gib: int) -> pb.Volume:
        """Begin to extend it."""
        return await self.volumes.ExtendVolume(verbs.ExtendVolumeRequest(id=id, size_gib=size_gib))

    async def ids(self, **fields: Any) -> set[str]:
        """The ids of a list."""
        answer = await self.volumes.ListVolumes(verbs.ListVolumesRequest(**fields))
        return {volume.id for volume in answer.volumes}

    async def snapshot(self, volume_id: str, **fields: Any) -> pb.Snapshot:
        """Begin a snapshot, and wait for its end."""
        request = snapshot_verbs.CreateSnapshotRequest(volume_id=volume_id, **fields)
        made = await self.snapshots.CreateSnapshot(request)
        await self.operation_ended(made.operation_id)
        return await self.snapshots.GetSnapshot(snapshot_verbs.GetSnapshotRequest(id=made.id))

    async def delete_snapshot(self, id: str) -> pb.Snapshot:
        """Begin to delete a snapshot."""
        return await self.snapshots.DeleteSnapshot(snapshot_verbs.DeleteSnapshotRequest(id=id))

    async def operation_ended(self, id: str) -> operation_pb2.Operation:
        """The operation, at its end."""
        last = operation_pb2.Operation()
        async for operation in self.operations.WatchOperation(operation_pb2.WatchOperationRequest(id=id)):
            last = operation
        return last

    async def reserve(self, volume_id: str, host_id: str, **fields: Any) -> Any:
        """Reserve a volume for a server on a host."""
        described = {"attachment_id": ids.new(), "server_id": ids.new(), **fields}
        request = attachment_verbs.ReserveAttachmentRequest(volume_id=volume_id, host_id=host_id, **described)
        return await self.attachments.ReserveAttachment(request)

    async def attach(self, volume_id: str, host_id: str) -> pb.Attachment:
        """Give a volume to a server, to the end."""
        reserved = await self.reserve(volume_id, host_id)
        request = attachment_verbs.ConfirmAttachmentRequest(
            attachment_id=reserved.attachment.id, device="vdb"
        )
        return await self.attachments.ConfirmAttachment(request)

    async def release(self, attachment_id: str) -> None:
        """Take it back."""
        request = attachment_verbs.ReleaseAttachmentRequest(attachment_id=attachment_id)
        await self.attachments.ReleaseAttachment(request)


@pytest.fixture
async def world(cloud: Settings, authority: Authority) -> AsyncIterator[Cloud]:
    """Block with two hosts whose pools are registered."""
    run = cloud.state / "run"
    hosts = [Host(ids.new(), ids.new(), f"unix:{run}/host{number}.sock", FakeHost()) for number in range(2)]
    images, servers = FakeImages(), FakeServers()
    compute = [(add_ServerServiceServicer_to_server, servers), (add_HostServiceServicer_to_server, servers)]
    image = [
        (add_ImageServiceServicer_to_server, images),
        (add_TransferServiceServicer_to_server, images),
    ]
    others = [
        Part("image", lambda _: Service(image)),
        Part("compute", lambda _: Service(compute)),
        *[_agent(host) for host in hosts],
    ]
    async with house(cloud, authority, {"block": build}, others) as running:
        world = Cloud(running, hosts, images, servers)
        for host in hosts:
            await world.register(host)
        yield world


@pytest.fixture
def mine(world: Cloud) -> Block:
    """Block as a member of one project sees it."""
    return as_user(world, person(ids.new(), "member"))


@pytest.fixture
def theirs(world: Cloud) -> Block:
    """The same as a member of another project sees it."""
    return as_user(world, person(ids.new(), "member"))


@pytest.fixture
def system(world: Cloud) -> Block:
    """The same as an administrator of the whole system sees it."""
    return as_user(world, person("", "admin", scope="system"))


@pytest.fixture
def compute(world: Cloud) -> Block:
    """The same as compute sees it on its own account."""
    return _block(world.house.service("block", "compute"), Caller())


def as_user(world: Cloud, caller: Caller) -> Block:
    """Block as this person sees it."""
    return _block(world.house.user("block", caller), caller)


def _block(client: Any, caller: Caller) -> Block:
    stubs = (
        VolumeServiceStub,
        SnapshotServiceStub,
        VolumeTypeServiceStub,
        PoolServiceStub,
        AttachmentServiceStub,
        OperationServiceStub,
        VolumeTransferServiceStub,
    )
    return Block(*[client.stub(stub) for stub in stubs], caller=caller)


def _agent(host: Host) -> Part:
    servicers = [
        (add_HostVolumeServiceServicer_to_server, host.fake),
        (add_GuestServiceServicer_to_server, host.fake),
    ]
    service = ServiceSettings("node", host.address, (host.address,), "")
    return Part(
        f"node {host.id}", lambda _: Service(servicers), identity=Identity.node(host.id), service=service
    )
