"""Where this host's volumes and snapshots are, and who has them."""

from pathlib import Path

from mesh.errors import CloudError, not_found
from node.disk.storage import Storage
from node.ledger import ExportRecord, Ledger


class Pool:
    """Files `volumes/<id>.raw` and `snapshots/<id>.raw` below `folder`: known to the ledger, or not ours."""

    def __init__(self, folder: Path, ledger: Ledger, storage: Storage) -> None:
        self.folder = folder
        self.ledger = ledger
        self.storage = storage

    def volume_path(self, volume_id: str) -> Path:
        """Where the volume's file is or would be."""
        return self.folder / "volumes" / f"{volume_id}.raw"

    def snapshot_path(self, snapshot_id: str) -> Path:
        """Where the snapshot's file is or would be."""
        return self.folder / "snapshots" / f"{snapshot_id}.raw"

    def volume(self, volume_id: str) -> Path:
        """The volume's file. NOT_FOUND."""
        path = self.volume_path(volume_id)
        if volume_id not in self.ledger.volumes or not self.storage.exists(path):
            raise not_found("volume", volume_id)
        return path

    def snapshot(self, snapshot_id: str) -> Path:
        """The snapshot's file. NOT_FOUND."""
        path = self.snapshot_path(snapshot_id)
        if snapshot_id not in self.ledger.snapshots or not self.storage.exists(path):
            raise not_found("snapshot", snapshot_id)
        return path

    def holder(self, volume_id: str) -> str | None:
        """The server whose guest on this host has the volume's file."""
        for record in self.ledger.guests.values():
            for volume in record.guest.volumes:
                if volume.volume_id == volume_id and volume.connection.WhichOneof("kind") == "file":
                    return record.id
        return None

    def writer(self, volume_id: str) -> ExportRecord | None:
        """The export by which another host writes to the volume."""
        exports = (e for e in self.exports(volume_id) if not e.read_only)
        return next(exports, None)

    def exports(self, volume_id: str) -> list[ExportRecord]:
        """All exports of the volume itself."""
        return [e for e in self.ledger.exports.values() if e.volume_id == volume_id and not e.snapshot_id]

    def refuse_if_used(self, volume_id: str) -> None:
        """IN_USE while a guest here has the volume, or it is exported."""
        if holder := self.holder(volume_id):
            raise in_use("volume", volume_id, "server", holder)
        for export in self.exports(volume_id):
            raise in_use("volume", volume_id, "export", export.id)


def in_use(kind: str, id: str, by: str, by_id: str) -> CloudError:
    """Something else still uses it."""
    return CloudError(
        "IN_USE",
        f"The {kind} {id} is used by the {by} {by_id}.",
        resource_type=kind,
        id=id,
        used_by_type=by,
        used_by_id=by_id,
    )
