"""What should be on this host against what is.

It heals what is provably ours and superseded, and only reports the rest: a domain without a row in the
ledger, a row without a domain, a file that no row explains. What an operator made by hand it does not see.
"""

import asyncio
import logging
from pathlib import Path

from node.disk.disks import GuestDisks
from node.disk.images import ImageCache
from node.disk.pool import Pool
from node.disk.sharing import Sharing
from node.guest import console
from node.guest.hypervisor import Hypervisor
from node.ledger import Ledger

_log = logging.getLogger(__name__)


class HostSweep:
    """One round is `run`; `warnings` are what the last one could not explain."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        hypervisor: Hypervisor,
        pool: Pool,
        disks: GuestDisks,
        images: ImageCache,
        sharing: Sharing,
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._pool = pool
        self._disks = disks
        self._images = images
        self._sharing = sharing
        self.warnings: frozenset[str] = frozenset()

    def clear_debris(self) -> None:
        """Remove files that an agent before this one was making. Only before this one begins. Blocks."""
        for part in self._folder.glob("*/**/*.making"):
            _log.info("removing %s, which was never finished", part.name)
            part.unlink()

    async def run(self) -> None:
        """One round."""
        for export_id in await self._sharing.restore():
            _log.warning("the export %s was not served any more: it is again", export_id)
        for server_id in list(self._ledger.guests):
            await asyncio.to_thread(console.trim, self._disks.console(server_id))
        for digest in await asyncio.to_thread(self._images.expire, self._images_in_use()):
            _log.info("removed the image %s, which nobody wanted for a week", digest)
        await self._report()

    def _images_in_use(self) -> set[str]:
        return {record.guest.root_disk.image_sha256 for record in self._ledger.guests.values()}

    async def _report(self) -> None:
        found = frozenset([*await self._of_guests(), *await asyncio.to_thread(self._of_files)])
        for warning in sorted(found - self.warnings):
            _log.warning("%s", warning)
        self.warnings = found

    async def _of_guests(self) -> list[str]:
        defined, known = set(await self._hypervisor.list()), set(self._ledger.guests)
        return [
            f"the guest {each} is defined, but not in the ledger: left alone" for each in defined - known
        ] + [f"the guest {each} is in the ledger, but not defined" for each in known - defined]

    def _of_files(self) -> list[str]:
        folders = {path.name for path in self._folder.glob("guests/*")}
        volumes = {path.stem for path in self._folder.glob("volumes/*.raw")}
        snapshots = {path.stem for path in self._folder.glob("snapshots/*.raw")}
        return [
            *(f"files of an unknown guest {x}: left alone" for x in folders - set(self._ledger.guests)),
            *(f"the file of an unknown volume {x}: left alone" for x in volumes - set(self._ledger.volumes)),
            *(f"the volume {x} has no file" for x in set(self._ledger.volumes) - volumes),
            *(
                f"the file of an unknown snapshot {x}: left alone"
                for x in snapshots - set(self._ledger.snapshots)
            ),
        ]
