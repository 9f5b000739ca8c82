"""The disks of a guest: its own, made for it, and the volumes that it was given."""

from pathlib import Path

from mesh.errors import CloudError
from node.disk.images import Images, layout
from node.disk.pool import Pool, in_use
from node.disk.storage import Storage
from node.guest.devices import Disk, FileSource, NbdSource, next_target, serial_of
from weft.node.v1.resources_pb2 import GuestSpec, GuestVolume


class GuestDisks:
    """Files of each guest in a folder `guests/<server id>` of its own."""

    def __init__(self, folder: Path, storage: Storage, images: Images, pool: Pool) -> None:
        self._folder = folder
        self._storage = storage
        self._images = images
        self._pool = pool

    def folder(self, server_id: str) -> Path:
        """Where the guest's own files are."""
        return self._folder / "guests" / server_id

    def console(self, server_id: str) -> Path:
        """The guest's console log."""
        return self.folder(server_id) / "console.log"

    async def make(self, spec: GuestSpec) -> list[Disk]:
        """Make the guest's own disks, and answer all its disks in order; `spec` learns the volumes' devices.

        Root and ephemeral disk come before volumes, so the first is vda; a config drive and an ISO image are
        CD-ROMs, which move no letter.
        """
        disks = [*await self._root(spec), *await self._ephemeral(spec)]
        taken = {disk.target for disk in disks} | {volume.device for volume in spec.volumes}
        for volume in spec.volumes:
            volume.device = volume.device or next_target(taken)
            taken.add(volume.device)
            disks.append(self.volume(volume, spec.server_id))
        if spec.config_drive:
            disks.append(await self._config_drive(spec))
        return disks

    async def remove(self, server_id: str) -> None:
        """Remove the guest's own files; volumes stay."""
        await self._storage.remove(self.folder(server_id))

    def volume(self, volume: GuestVolume, server_id: str) -> Disk:
        """A volume as a disk. NOT_FOUND, IN_USE while another has it, UNSUPPORTED for Ceph RBD."""
        kind = volume.connection.WhichOneof("kind")
        source: FileSource | NbdSource
        if kind == "file":
            self._refuse_if_used(volume.volume_id, server_id)
            source = FileSource(self._pool.volume(volume.volume_id), "raw")
        elif kind == "nbd":
            source = NbdSource.of(volume.connection.nbd)
        else:
            raise CloudError(
                "UNSUPPORTED", f"This host cannot attach by {kind}.", feature=f"volumes by {kind}"
            )
        return Disk(volume.device, source, serial_of(volume.volume_id), boot_order=1 if volume.boot else 0)

    def _refuse_if_used(self, volume_id: str, server_id: str) -> None:
        holder = self._pool.holder(volume_id)
        if holder not in (None, server_id):
            raise in_use("volume", volume_id, "server", str(holder))
        for export in self._pool.exports(volume_id):
            raise in_use("volume", volume_id, "export", export.id)

    async def _root(self, spec: GuestSpec) -> list[Disk]:
        if not spec.HasField("root_disk"):
            return []
        root, folder = spec.root_disk, self.folder(spec.server_id)
        base = self._images.locate(root.image_sha256)
        if root.image_format == "iso":
            await self._storage.blank(folder / "root.raw", root.size_bytes)
            medium = Disk("sda", FileSource(base, "raw"), boot_order=1, cdrom=True)
            return [Disk("vda", FileSource(folder / "root.raw", "raw"), boot_order=2), medium]
        form = layout(root.image_format)
        await self._storage.overlay(folder / "root.qcow2", base, form, root.size_bytes)
        return [Disk("vda", FileSource(folder / "root.qcow2", "qcow2"), boot_order=1)]

    async def _ephemeral(self, spec: GuestSpec) -> list[Disk]:
        if not spec.ephemeral_bytes:
            return []
        path = self.folder(spec.server_id) / "ephemeral.raw"
        await self._storage.blank(path, spec.ephemeral_bytes)
        return [Disk("vdb", FileSource(path, "raw"), serial="ephemeral")]

    async def _config_drive(self, spec: GuestSpec) -> Disk:
        path = self.folder(spec.server_id) / "config.iso"
        await self._storage.config_drive(path, spec)
        return Disk("sdb", FileSource(path, "raw"), cdrom=True)
