"""What should be on this host against what is.

It heals what is provably ours and superseded, and only reports the rest: a domain without a row in the
ledger, a row without a domain, a file that no row explains, a guest that an operator made by hand.
"""

import asyncio
import logging
from pathlib import Path

from mesh.warnings import Finding, Warnings
from node.disk.disks import GuestDisks
from node.disk.images import ImageCache
from node.disk.sharing import Sharing
from node.guest import console
from node.guest.hypervisor import Hypervisor
from node.ledger import Ledger

_log = logging.getLogger(__name__)


class HostSweep:
    """One round is `run`; what it cannot explain it tells `warnings`."""

    def __init__(
        self,
        host_id: str,
        folder: Path,
        ledger: Ledger,
        hypervisor: Hypervisor,
        disks: GuestDisks,
        images: ImageCache,
        sharing: Sharing,
        warnings: Warnings,
    ) -> None:
        self._host_id = host_id
        self._folder = folder
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._disks = disks
        self._images = images
        self._sharing = sharing
        self._warnings = warnings
        self._before: set[Finding] | None = None

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
        found = {*await self._of_guests(), *await asyncio.to_thread(self._of_files)}
        # What is being made or removed just now looks strange for a moment: a second round decides. Until
        # then what an agent before this one has told holds.
        if self._before is not None:
            await self._warnings.tell("host", found & self._before)
        self._before = found

    async def _of_guests(self) -> list[Finding]:
        defined, known = set(await self._hypervisor.list()), set(self._ledger.guests)
        foreign = await self._hypervisor.foreign()
        unknown = "The guest {} is defined, but not in the ledger: it is left alone."
        lost = "The guest {} is in the ledger, but not defined."
        return [
            *self._all("UNKNOWN_GUEST", "guest", defined - known, unknown),
            *self._all("LOST_GUEST", "guest", known - defined, lost),
            *(self._foreign(id, name) for id, name in foreign.items()),
        ]

    def _of_files(self) -> list[Finding]:
        folders = {path.name for path in self._folder.glob("guests/*")}
        volumes = {path.stem for path in self._folder.glob("volumes/*.raw")}
        snapshots = {path.stem for path in self._folder.glob("snapshots/*.raw")}
        left = "There are files of an unknown {}: they are left alone."
        ledger = self._ledger
        return [
            *self._all("UNKNOWN_FILE", "guest", folders - set(ledger.guests), left),
            *self._all("UNKNOWN_FILE", "volume", volumes - set(ledger.volumes), left),
            *self._all("UNKNOWN_FILE", "snapshot", snapshots - set(ledger.snapshots), left),
            *self._all("LOST_VOLUME", "volume", set(ledger.volumes) - volumes, "The volume {} has no file."),
        ]

    def _all(self, kind: str, type: str, ids: set[str], sentence: str) -> list[Finding]:
        named = ((id, sentence.format(f"{type} {id}" if kind == "UNKNOWN_FILE" else id)) for id in ids)
        return [Finding(kind, type, id, message, self._host_id) for id, message in named]

    def _foreign(self, id: str, name: str) -> Finding:
        message = f"The guest {name} ({id}) was not made by weft for this host: it is left alone."
        return Finding("FOREIGN_GUEST", "guest", id, message, self._host_id)
