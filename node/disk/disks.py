"""The disks of a guest: its own, made for it, and the volumes that it was given."""

from pathlib import Path

from mesh.errors import CloudError
from node.disk import exports as nbd
from node.disk.images import Images, layout
from node.disk.pool import Pool, in_use
from node.disk.storage import Storage
from node.guest.devices import Disk, FileSource, NbdSource, next_target, serial_of
from weft.block.v1.resources_pb2 import NbdConnection
from weft.node.v1.resources_pb2 import GuestSpec, GuestVolume

# Names and layouts of a guest's own disks. A root disk is an overlay on its image, or raw where it came from
# another host or stays empty beside an ISO image.
_OWN = (("root.qcow2", "qcow2"), ("root.raw", "raw"), ("ephemeral.raw", "raw"))


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
        await self._make_root(spec)
        await self._make_ephemeral(spec)
        if spec.config_drive:
            await self._storage.config_drive(self._config_drive(spec.server_id), spec)
        return self.all(spec)

    def all(self, spec: GuestSpec) -> list[Disk]:
        """The same disks, which are there."""
        disks = [*self._root(spec), *self._ephemeral(spec)]
        taken = {disk.target for disk in disks} | {volume.device for volume in spec.volumes}
        for volume in spec.volumes:
            volume.device = volume.device or next_target(taken)
            taken.add(volume.device)
            disks.append(self.volume(volume, spec.server_id))
        if spec.config_drive:
            disks.append(Disk("sdb", FileSource(self._config_drive(spec.server_id), "raw"), cdrom=True))
        return disks

    async def make_missing(self, spec: GuestSpec) -> None:
        """The second disk, where the guest is to have one and has none."""
        if spec.ephemeral_bytes and not self._storage.exists(self._ephemeral(spec)[0].source.path):
            await self._make_ephemeral(spec)

    def own(self, server_id: str) -> list[FileSource]:
        """The guest's own disks that are there, the root disk first."""
        folder = self.folder(server_id)
        found = (FileSource(folder / name, layout) for name, layout in _OWN)
        return [source for source in found if self._storage.exists(source.path)]

    def root(self, server_id: str) -> FileSource:
        """The guest's root disk. UNSUPPORTED when it boots from a volume."""
        for source in self.own(server_id):
            if source.path.stem == "root":
                return source
        message = f"The guest {server_id} boots from a volume: it has no root disk of its own."
        raise CloudError("UNSUPPORTED", message, feature="root disk")

    async def clear(self, server_id: str) -> None:
        """Remove the guest's own disks, and nothing else of it."""
        for source in self.own(server_id):
            await self._storage.remove(source.path)
        await self._storage.remove(self._config_drive(server_id))

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

    async def _make_root(self, spec: GuestSpec) -> None:
        if not spec.HasField("root_disk"):
            return
        root, folder = spec.root_disk, self.folder(spec.server_id)
        if spec.HasField("copy"):
            await self._fetch(folder / "root.raw", spec.copy.root, root.size_bytes)
            return
        base = self._images.locate(root.image_sha256)
        if root.image_format == "iso":
            await self._storage.blank(folder / "root.raw", root.size_bytes)
        else:
            form = layout(root.image_format)
            await self._storage.overlay(folder / "root.qcow2", base, form, root.size_bytes)

    async def _make_ephemeral(self, spec: GuestSpec) -> None:
        path = self.folder(spec.server_id) / "ephemeral.raw"
        if spec.copy.HasField("ephemeral"):
            await self._fetch(path, spec.copy.ephemeral, spec.ephemeral_bytes)
        elif spec.ephemeral_bytes:
            await self._storage.blank(path, spec.ephemeral_bytes)

    async def _fetch(self, path: Path, source: NbdConnection, size_bytes: int) -> None:
        await self._storage.convert(path, nbd.url(source.address, source.export), "raw", size_bytes)

    def _root(self, spec: GuestSpec) -> list[Disk]:
        if not spec.HasField("root_disk"):
            return []
        source = self.root(spec.server_id)
        if spec.root_disk.image_format != "iso":
            return [Disk("vda", source, boot_order=1)]
        medium = FileSource(self._images.locate(spec.root_disk.image_sha256), "raw")
        return [Disk("vda", source, boot_order=2), Disk("sda", medium, boot_order=1, cdrom=True)]

    def _ephemeral(self, spec: GuestSpec) -> list[Disk]:
        if not spec.ephemeral_bytes:
            return []
        path = self.folder(spec.server_id) / "ephemeral.raw"
        return [Disk("vdb", FileSource(path, "raw"), serial="ephemeral")]

    def _config_drive(self, server_id: str) -> Path:
        return self.folder(server_id) / "config.iso"
