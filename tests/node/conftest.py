"""A host in the test's own directory: real files and tools, and guests that are simulated or real."""

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mesh.database import Database
from node.disk.disks import GuestDisks
from node.disk.exports import StorageDaemons
from node.disk.images import ImageCache
from node.disk.pool import Pool
from node.disk.sharing import Sharing
from node.disk.snapshots import Snapshots
from node.disk.storage import FileStorage
from node.disk.volumes import Volumes
from node.guest.attachments import Attachments
from node.guest.boots import Boots
from node.guest.cards import Cards
from node.guest.copies import Copies
from node.guest.freezing import Freezing
from node.guest.guests import Guests
from node.guest.hypervisor import Hypervisor
from node.guest.moving import Moving
from node.guest.power import Power
from node.guest.remaking import Remaking
from node.guest.simulated import SimulatedHypervisor
from node.ledger import MIGRATIONS, TABLES, Ledger
from node.turns import Turns
from tests.node.images import ImageService
from weft.block.v1.resources_pb2 import Connection, FileConnection
from weft.node.v1.resources_pb2 import GuestMetadata, GuestSpec, GuestVolume, RootDisk
from weft.node.v1.volume_service_pb2 import CreateVolumeRequest

MIB = 1 << 20


class NoWires:
    """A network on which every port is wired."""

    async def ready(self, port_id: str, deadline_s: float) -> None:
        return None


class Host:
    """The parts of a host, as node.host puts them together, without a server in front."""

    def __init__(self, folder: Path, ledger: Ledger, hypervisor: Hypervisor, service: ImageService) -> None:
        turns = Turns()
        self.folder, self.ledger, self.hypervisor, self.service = folder, ledger, hypervisor, service
        self.storage = FileStorage(folder)
        self.images = ImageCache(folder / "images", service)
        self.exports = StorageDaemons(folder / "exports", "127.0.0.1")
        self.pool = Pool(folder, ledger, self.storage)
        self.disks = GuestDisks(folder, self.storage, self.images, self.pool)
        self.guests = Guests(ledger, hypervisor, self.disks, turns)
        self.boots = Boots(2)
        self.power = Power(ledger, hypervisor, self.disks, NoWires(), self.boots, turns, self.guests.doomed)
        self.attachments = Attachments(ledger, hypervisor, self.disks, turns)
        self.freezing = Freezing(ledger, hypervisor, turns)
        self.cards = Cards(ledger, hypervisor, NoWires(), turns)
        self.remaking = Remaking(ledger, hypervisor, self.disks, self.storage, turns)
        self.moving = Moving(ledger, hypervisor, self.disks, self.exports, turns)
        self.copies = Copies(ledger, hypervisor, self.disks, self.storage, self.images, turns)
        self.volumes = Volumes(self.pool, self.images, hypervisor, turns)
        self.snapshots = Snapshots(self.pool, self.exports, hypervisor, turns)
        self.sharing = Sharing(self.pool, self.exports, turns)

    async def volume(self, size_bytes: int = MIB, **source: object) -> str:
        """A volume's id."""
        volume_id = str(uuid.uuid4())
        request = CreateVolumeRequest(
            volume_id=volume_id, size_bytes=size_bytes, operation_id=str(uuid.uuid4()), **source
        )
        await self.volumes.create(request)
        return volume_id

    def files(self) -> set[str]:
        """Names of all files of guests, volumes and snapshots."""
        kept = ("guests", "volumes", "snapshots")
        return {path.name for top in kept for path in self.folder.glob(f"{top}/**/*") if path.is_file()}


def spec(root: RootDisk | None = None, **fields: object) -> GuestSpec:
    """A small guest."""
    return GuestSpec(
        server_id=fields.pop("server_id", str(uuid.uuid4())),
        operation_id=fields.pop("operation_id", str(uuid.uuid4())),
        vcpus=1,
        memory_mib=128,
        root_disk=root,
        metadata=fields.pop("metadata", GuestMetadata(hostname="one", name="one")),
        **fields,
    )


def on_this_host(volume_id: str, **fields: object) -> GuestVolume:
    """An attachment of a volume that is on the same host."""
    connection = Connection(file=FileConnection(volume_id=volume_id, format="raw"))
    return GuestVolume(attachment_id=str(uuid.uuid4()), volume_id=volume_id, connection=connection, **fields)


@pytest.fixture
def service() -> ImageService:
    """The image service."""
    return ImageService()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """An empty ledger."""
    database = Database.open(f"sqlite:///{tmp_path}/ledger.db", TABLES, MIGRATIONS)
    ledger = Ledger(database)
    await ledger.load()
    yield ledger
    await database.close()


@pytest.fixture
def make_host(tmp_path: Path, ledger: Ledger, service: ImageService) -> Callable[[Hypervisor], Host]:
    """Makes a host with a hypervisor of the test's choice."""
    return lambda hypervisor: Host(tmp_path / "node", ledger, hypervisor, service)


@pytest.fixture
async def host(make_host: Callable[[Hypervisor], Host]) -> AsyncIterator[Host]:
    """A host whose guests are simulated, and whose disks are real files."""
    host = make_host(SimulatedHypervisor())
    yield host
    for export_id in list(host.ledger.exports):
        await host.exports.stop(export_id)
