"""What a guest's disks are, and which letter each gets."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

from mesh.errors import CloudError
from weft.block.v1.resources_pb2 import NbdConnection

SERIAL_LENGTH = 20  # virtio-blk tells its guest no more


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on the host; `format` is `raw` or `qcow2`."""

    path: Path
    format: str


@dataclass(frozen=True, slots=True)
class NbdSource:
    """A network block device: `address` is host:port or unix:/path."""

    address: str
    export: str

    @classmethod
    def of(cls, connection: NbdConnection) -> "NbdSource":
        """The source that a connection of the block service names."""
        return cls(connection.address, connection.export)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of a guest. `target` is vda, vdb, ... for virtio disks, sda, ... for CD-ROMs.

    `serial` is what the guest sees; `boot_order` counts from 1, 0 is never.
    """

    target: str
    source: FileSource | NbdSource
    serial: str = ""
    boot_order: int = 0
    cdrom: bool = False


def serial_of(volume_id: str) -> str:
    """What a guest sees of a volume's id."""
    return volume_id[:SERIAL_LENGTH]


def next_target(taken: Iterable[str]) -> str:
    """The first free of vda ... vdz. Raises UNSUPPORTED when all are taken."""
    used = set(taken)
    for letter in ascii_lowercase:
        if f"vd{letter}" not in used:
            return f"vd{letter}"
    raise CloudError("UNSUPPORTED", "The guest has 26 disks: it can have no more.", feature="disk")
