"""Volumes and snapshots that another host may reach."""

import logging
from functools import partial
from pathlib import Path

from mesh.errors import CloudError
from node import turns
from node.disk.exports import Exports
from node.disk.pool import Pool, in_use
from node.ledger import ExportRecord
from node.turns import Turns
from weft.block.v1.resources_pb2 import NbdConnection
from weft.node.v1.volume_service_pb2 import ExportVolumeRequest

# Between choosing a free port and listening on it, somebody else may take it.
_ADDRESS_ATTEMPTS = 3
_log = logging.getLogger(__name__)


class Sharing:
    """Begins and ends exports; each call can be made again after it was broken off."""

    def __init__(self, pool: Pool, exports: Exports, turns: Turns) -> None:
        self._pool = pool
        self._exports = exports
        self._turns = turns

    async def begin(self, request: ExportVolumeRequest) -> NbdConnection:
        """Serve a volume or a snapshot to another host. IN_USE while a guest here has the volume."""
        return await self._turns.take(lambda: self._begin(request), turns.volume(request.volume_id))

    async def end(self, volume_id: str, export_id: str) -> None:
        """Serve it no more."""
        await self._turns.take(lambda: self._end(export_id), turns.volume(volume_id))

    async def restore(self) -> list[str]:
        """Serve again what the ledger has and no daemon does: after a reboot, or when one died."""
        of_volumes = (e for e in self._pool.ledger.exports.values() if not e.disk)
        gone = [e for e in of_volumes if not self._exports.running(e.id)]
        for export in gone:
            await self._turns.take(partial(self._restore, export), turns.volume(export.volume_id))
        return [export.id for export in gone]

    async def _begin(self, request: ExportVolumeRequest) -> NbdConnection:
        disk = self._disk(request.volume_id, request.snapshot_id)
        if not request.snapshot_id:
            self._refuse(request)
        export = self._pool.ledger.exports.get(request.export_id)
        for attempt in range(_ADDRESS_ATTEMPTS):
            export = export or await self._record(request)
            try:
                await self._exports.start(export, disk)
                return NbdConnection(address=export.address, export=export.id)
            except CloudError as error:
                await self._end(export.id)
                if attempt == _ADDRESS_ATTEMPTS - 1:
                    raise
                _log.warning("an export did not start at %s: %s", export.address, error.message)
                export = None
        raise AssertionError("unreachable")

    def _refuse(self, request: ExportVolumeRequest) -> None:
        if holder := self._pool.holder(request.volume_id):
            raise in_use("volume", request.volume_id, "server", holder)
        for other in self._pool.exports(request.volume_id):
            if other.id != request.export_id and not (other.read_only and request.read_only):
                raise in_use("volume", request.volume_id, "export", other.id)

    async def _record(self, request: ExportVolumeRequest) -> ExportRecord:
        address = self._exports.address(request.export_id)
        export = ExportRecord(
            request.export_id, request.volume_id, request.snapshot_id, request.read_only, address
        )
        await self._pool.ledger.keep(export)
        return export

    async def _end(self, export_id: str) -> None:
        await self._exports.stop(export_id)
        record = self._pool.ledger.exports.get(export_id)
        if record is not None:
            await self._pool.ledger.forget(record)

    async def _restore(self, export: ExportRecord) -> None:
        if export.id in self._pool.ledger.exports:
            await self._exports.start(export, self._disk(export.volume_id, export.snapshot_id))

    def _disk(self, volume_id: str, snapshot_id: str) -> Path:
        return self._pool.snapshot(snapshot_id) if snapshot_id else self._pool.volume(volume_id)
