"""Volumes, snapshots, pools and attachments as values, and the rules about them. Pure: no I/O, no proto."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

GIB = 1024**3
# A pool whose host has said nothing for longer takes no new volumes.
POOL_SILENCE = timedelta(minutes=3)
# A reservation this old, for a server that compute does not know, is nobody's.
RESERVATION_LIFE = timedelta(minutes=30)
# What is younger may be in the middle of something.
GRACE = timedelta(minutes=10)

TRANSFERABLE = ("AVAILABLE",)
# Of the snapshots of a volume that changes hands.
SETTLED = ("AVAILABLE", "ERROR")
DELETABLE = ("AVAILABLE", "ERROR")
EXTENDABLE = ("AVAILABLE", "IN_USE")
SNAPSHOTTABLE = ("AVAILABLE", "IN_USE")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume given to a server. RESERVED -> ATTACHED -> DETACHING -> gone."""

    id: str
    volume_id: str
    project_id: str
    server_id: str
    host_id: str
    device: str
    status: str
    created_at: datetime
    updated_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """A row of `transfers`: an offer of a volume to who has its key."""

    id: str
    name: str
    project_id: str
    volume_id: str
    key_digest: str
    created_at: datetime
    updated_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Volume:
    """A row of `volumes` with its attachments.

    `allocated_gib` is what counts against quota and pool: more than `size_gib` while it is being extended.
    `pool_id` is empty when nothing of it is anywhere. `format` is `raw` or `qcow2`, as its host made it.
    """

    id: str
    name: str
    project_id: str
    created_at: datetime
    updated_at: datetime
    revision: int
    status: str
    status_reason: str
    operation_id: str | None
    description: str
    size_gib: int
    allocated_gib: int
    volume_type_id: str
    bootable: bool
    image_id: str
    snapshot_id: str
    source_volume_id: str
    metadata: Mapping[str, str]
    availability_zone: str
    pool_id: str
    format: str
    user_id: str
    attachments: Sequence[Attachment] = ()

    @property
    def size_bytes(self) -> int:
        """Its size in bytes."""
        return self.size_gib * GIB

    @property
    def at_rest(self) -> str:
        """The status that it has when nothing is under way."""
        return "IN_USE" if self.attachments else "AVAILABLE"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row of `snapshots`."""

    id: str
    name: str
    project_id: str
    created_at: datetime
    updated_at: datetime
    revision: int
    status: str
    status_reason: str
    operation_id: str | None
    description: str
    volume_id: str
    size_gib: int
    pool_id: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VolumeType:
    """A row of `volume_types`. An empty backend is any."""

    id: str
    name: str
    description: str
    public: bool
    default: bool
    backend: str
    extra_specs: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Pool:
    """A row of `pools`, and the bytes that its volumes and snapshots may take, counted from their rows."""

    id: str
    name: str
    backend: str
    host_id: str
    host_address: str
    capacity_bytes: int
    disabled: bool
    availability_zone: str
    last_seen_at: datetime
    created_at: datetime
    updated_at: datetime
    revision: int
    allocated_bytes: int = 0

    @property
    def free_bytes(self) -> int:
        """What is left for new volumes."""
        return self.capacity_bytes - self.allocated_bytes

    def is_alive(self, now: datetime) -> bool:
        """Whether its host has reported it lately."""
        return now - self.last_seen_at < POOL_SILENCE


def gib(size_bytes: int) -> int:
    """As many GiB as hold so many bytes."""
    return -(-size_bytes // GIB)
