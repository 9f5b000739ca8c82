"""Volumes of this host's pool: raw sparse files."""

from dataclasses import replace
from pathlib import Path

from mesh import clock
from mesh.errors import CloudError, invalid
from node import turns
from node.disk import exports as nbd
from node.disk.images import Images, Wanted
from node.disk.pool import Pool
from node.guest.devices import serial_of
from node.guest.hypervisor import Hypervisor
from node.ledger import ExportRecord, VolumeRecord
from node.turns import Turns
from weft.node.v1.resources_pb2 import HostExport, HostVolume
from weft.node.v1.volume_service_pb2 import CreateVolumeRequest


class Volumes:
    """Makes, removes and extends volumes; each call can be made again after it was broken off."""

    def __init__(self, pool: Pool, images: Images, hypervisor: Hypervisor, turns: Turns) -> None:
        self._pool = pool
        self._images = images
        self._hypervisor = hypervisor
        self._turns = turns

    async def create(self, request: CreateVolumeRequest) -> HostVolume:
        """Make a volume. One that is there with this size is answered; with another, ALREADY_EXISTS."""
        names = [turns.volume(request.volume_id)]
        if request.HasField("source_volume_id"):
            names.append(turns.volume(request.source_volume_id))
        return await self._turns.take(lambda: self._create(request), *names)

    async def delete(self, volume_id: str) -> None:
        """Remove a volume. IN_USE while a guest has it or it is exported."""
        await self._turns.take(lambda: self._delete(volume_id), turns.volume(volume_id))

    async def extend(self, volume_id: str, size_bytes: int) -> HostVolume:
        """Make it larger, and tell the guest that has it. UNSUPPORTED while another host has it."""
        return await self._turns.take(lambda: self._extend(volume_id, size_bytes), turns.volume(volume_id))

    def list(self) -> list[HostVolume]:
        """All volumes by id."""
        return [self._message(record) for _, record in sorted(self._pool.ledger.volumes.items())]

    async def _create(self, request: CreateVolumeRequest) -> HostVolume:
        ledger, storage = self._pool.ledger, self._pool.storage
        path, known = self._pool.volume_path(request.volume_id), ledger.volumes.get(request.volume_id)
        if known and storage.exists(path):
            if known.size_bytes != request.size_bytes:
                message = f"The volume {known.id} is there with {known.size_bytes} bytes."
                raise CloudError("ALREADY_EXISTS", message, resource_type="volume", name=known.id)
            return self._message(known)
        record = VolumeRecord(request.volume_id, request.operation_id, request.size_bytes)
        await ledger.keep(record)
        try:
            await self._fill(path, request)
        except CloudError:
            await storage.remove(path)
            await ledger.forget(record)
            raise
        return self._message(record)

    async def _fill(self, path: Path, request: CreateVolumeRequest) -> None:
        source, storage = request.WhichOneof("source"), self._pool.storage
        if source is None:
            await storage.blank(path, request.size_bytes)
        elif source == "image":
            await self._fill_from_image(path, request)
        elif source == "export":
            address = nbd.url(request.export.address, request.export.export)
            await storage.convert(path, address, "raw", request.size_bytes)
        else:
            await storage.copy(path, self._copied(request))
            await storage.grow(path, request.size_bytes)

    async def _fill_from_image(self, path: Path, request: CreateVolumeRequest) -> None:
        image = request.image
        wanted = Wanted(image.image_id, image.sha256, image.size_bytes, image.format, image.grant)
        staged = await self._images.stage(wanted)
        if staged.virtual_size_bytes > request.size_bytes:
            raise invalid("size_bytes", f"the image is a disk of {staged.virtual_size_bytes} bytes")
        base = self._images.locate(wanted.sha256)
        await self._pool.storage.convert(path, str(base), wanted.layout, request.size_bytes)

    def _copied(self, request: CreateVolumeRequest) -> Path:
        if request.HasField("snapshot_id"):
            return self._pool.snapshot(request.snapshot_id)
        path = self._pool.volume(request.source_volume_id)
        self._pool.refuse_if_used(request.source_volume_id)
        return path

    async def _delete(self, volume_id: str) -> None:
        record = self._pool.ledger.volumes.get(volume_id)
        if record is None:
            return
        self._pool.refuse_if_used(volume_id)
        await self._pool.storage.remove(self._pool.volume_path(volume_id))
        await self._pool.ledger.forget(record)

    async def _extend(self, volume_id: str, size_bytes: int) -> HostVolume:
        path, record = self._pool.volume(volume_id), self._pool.ledger.volumes[volume_id]
        if self._pool.writer(volume_id):
            message = f"The volume {volume_id} is attached over the network: detach it to extend it."
            raise CloudError("UNSUPPORTED", message, feature="extend over NBD")
        if size_bytes > record.size_bytes:
            record = replace(record, size_bytes=size_bytes)
            await self._pool.storage.grow(path, size_bytes)
            await self._pool.ledger.keep(record)
        if holder := self._pool.holder(volume_id):
            await self._hypervisor.grow(holder, serial_of(volume_id), record.size_bytes)
        return self._message(record)

    def _message(self, record: VolumeRecord) -> HostVolume:
        path, export = self._pool.volume_path(record.id), self._pool.writer(record.id)
        return HostVolume(
            volume_id=record.id,
            size_bytes=record.size_bytes,
            format="raw",
            allocated_bytes=self._pool.storage.taken(path),
            export_address=export.address if export else "",
            exports=[_export(e) for e in self._pool.ledger.exports.values() if e.volume_id == record.id],
        )


def _export(record: ExportRecord) -> HostExport:
    begun = clock.to_proto(record.created_at)
    return HostExport(export_id=record.id, snapshot_id=record.snapshot_id, created_at=begun)
