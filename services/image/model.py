"""What an image is, and who sees and changes it. Pure: no I/O, no proto."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

GIB = 1024**3
# An upload says this often that it lives; without a sign for UPLOAD_LEASE it is taken for dead.
UPLOAD_BEAT = timedelta(seconds=10)
UPLOAD_LEASE = timedelta(seconds=40)


@dataclass(frozen=True, slots=True)
class Image:
    """A row of `images` with its tags. Words are those of the contract's enums without their prefix."""

    id: str
    name: str
    project_id: str
    created_at: datetime
    updated_at: datetime
    revision: int
    status: str
    status_reason: str
    disk_format: str
    size_bytes: int
    virtual_size_bytes: int
    min_disk_gib: int
    min_memory_mib: int
    sha256: str
    sha512: str
    expected_sha256: str
    visibility: str
    protected: bool
    hidden: bool
    properties: Mapping[str, str]
    upload_id: str | None
    upload_until: datetime | None
    uploader_host_id: str | None = None
    operation_id: str | None = None
    tags: Sequence[str] = ()

    def belongs_to(self, reach: str | None) -> bool:
        """Whether it may be changed by one who reaches this project; None reaches all."""
        return reach is None or self.project_id == reach

    def gives_out(self, reach: str | None) -> bool:
        """Whether its content may be read: a DEACTIVATED one only by administrators."""
        return self.status == "ACTIVE" or (self.status == "DEACTIVATED" and reach is None)


@dataclass(frozen=True, slots=True)
class Member:
    """A project that an image is shared with."""

    image_id: str
    member_project_id: str
    status: str
    created_at: datetime
    updated_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Content:
    """What was found out about bytes that arrived: sizes in bytes, digests in hex."""

    size_bytes: int
    virtual_size_bytes: int
    sha256: str
    sha512: str


def may_publish(roles: frozenset[str]) -> bool:
    """Whether one with these roles may make an image PUBLIC."""
    return "admin" in roles
