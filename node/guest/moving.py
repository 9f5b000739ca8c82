"""Disks of guests that another host fetches: each served by NBD for as long as that takes."""

import uuid
from pathlib import Path

from mesh.errors import CloudError, wrong_status
from node import turns
from node.disk.disks import GuestDisks
from node.disk.exports import Exports
from node.guest.hypervisor import Hypervisor
from node.ledger import ExportRecord, Ledger
from node.turns import Turns
from weft.block.v1.resources_pb2 import NbdConnection
from weft.node.v1.guest_service_pb2 import ExportGuestResponse

# Between choosing a free port and listening on it, somebody else may take it.
_ADDRESS_ATTEMPTS = 3


class Moving:
    """Serves the disks of a guest that is off; each call can be made again."""

    def __init__(
        self, ledger: Ledger, hypervisor: Hypervisor, disks: GuestDisks, exports: Exports, turns: Turns
    ) -> None:
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._disks = disks
        self._exports = exports
        self._turns = turns

    async def begin(self, server_id: str) -> ExportGuestResponse:
        """Let another host read its disks. WRONG_STATUS while it runs, UNSUPPORTED from an ISO image."""
        return await self._turns.take(lambda: self._begin(server_id), turns.guest(server_id))

    async def end(self, server_id: str) -> None:
        """Serve them no more."""
        await self._turns.take(lambda: self._end(server_id), turns.guest(server_id))

    async def _begin(self, server_id: str) -> ExportGuestResponse:
        spec = self._ledger.guest(server_id).guest
        seen = await self._hypervisor.see(server_id)
        if seen and seen.active:
            raise wrong_status("guest", server_id, "running", ("SHUTOFF",))
        if spec.root_disk.image_format == "iso":
            message = f"The guest {server_id} is from an ISO image: it cannot be moved."
            raise CloudError("UNSUPPORTED", message, feature="move from an ISO image")
        answer = ExportGuestResponse(ports=spec.ports)
        if spec.HasField("root_disk"):
            answer.root_disk.CopyFrom(spec.root_disk)
        for source in self._disks.own(server_id):
            served = await self._serve(server_id, source.path)
            getattr(answer.copy, source.path.stem).CopyFrom(served)
        return answer

    async def _serve(self, server_id: str, path: Path) -> NbdConnection:
        for attempt in range(_ADDRESS_ATTEMPTS):
            export = next((e for e in self._of(server_id) if e.disk == path.stem), None)
            export = export or await self._record(server_id, path.stem)
            try:
                await self._exports.start(export, path)
                break
            except CloudError:
                await self._stop(export)
                if attempt == _ADDRESS_ATTEMPTS - 1:
                    raise
        return NbdConnection(address=export.address, export=export.id)

    async def _record(self, server_id: str, disk: str) -> ExportRecord:
        id = str(uuid.uuid4())  # also the key: whoever knows it may read
        export = ExportRecord(id, server_id, "", True, self._exports.address(id), disk)
        await self._ledger.keep(export)
        return export

    async def _end(self, server_id: str) -> None:
        for export in self._of(server_id):
            await self._stop(export)

    async def _stop(self, export: ExportRecord) -> None:
        await self._exports.stop(export.id)
        await self._ledger.forget(export)

    def _of(self, server_id: str) -> list[ExportRecord]:
        return [e for e in self._ledger.exports.values() if e.disk and e.volume_id == server_id]
