"""What a backend must be able to do. Every call may be repeated, and then does nothing more.

All raise CloudError: HOST_UNAVAILABLE where the storage does not answer, STORAGE_FULL, NOT_FOUND.
Sizes are in bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.block.model import Attachment, Pool
from weft.block.v1.resources_pb2 import Connection

# What a volume begins with: {"image": {image_id, sha256, size_bytes, format}}, {"snapshot_id": id},
# {"source_volume_id": id}, or nothing: zeroes.
Source = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reach:
    """A volume that was made reachable for an attachment."""

    attachment_id: str
    volume_id: str
    begun_at: datetime


class Driver(Protocol):
    """A way to keep volumes in pools of one backend."""

    async def create(
        self, pool: Pool, volume_id: str, size_bytes: int, source: Source, operation_id: str
    ) -> str:
        """Make a volume; `raw` or `qcow2`, as it was made."""
        ...

    async def delete(self, pool: Pool, volume_id: str) -> None:
        """Delete a volume, if there is one. Raises IN_USE."""
        ...

    async def extend(self, pool: Pool, volume_id: str, size_bytes: int) -> None:
        """Make a volume larger."""
        ...

    async def snapshot(self, pool: Pool, volume_id: str, snapshot_id: str) -> None:
        """Keep a volume as it is now."""
        ...

    async def delete_snapshot(self, pool: Pool, volume_id: str, snapshot_id: str) -> None:
        """Delete a snapshot, if there is one."""
        ...

    async def connect(self, pool: Pool, attachment: Attachment, format: str, size_bytes: int) -> Connection:
        """Make a volume reachable from the attachment's host; how that reaches it."""
        ...

    async def disconnect(self, pool: Pool, attachment: Attachment) -> None:
        """Take back what made it reachable."""
        ...

    async def reaches(self, pool: Pool) -> Sequence[Reach]:
        """What of the pool is reachable, as far as something of its own makes it so."""
        ...

    async def cut(self, pool: Pool, reach: Reach) -> None:
        """Make a volume reachable no more, whether or not there is an attachment."""
        ...

    def extends_attached(self, pool: Pool, attachment: Attachment) -> bool:
        """Whether a volume can be made larger while it is attached so."""
        ...

    async def tell_guest(self, pool: Pool, attachment: Attachment, size_bytes: int) -> None:
        """Tell the guest that its volume has another size."""
        ...
