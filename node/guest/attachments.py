"""Volumes that guests are given and give back, while they run too."""

from dataclasses import replace

from mesh.errors import CloudError
from node import turns
from node.disk.disks import GuestDisks
from node.guest.devices import next_target, serial_of
from node.guest.hypervisor import Hypervisor
from node.ledger import Ledger
from node.turns import Turns
from weft.node.v1.resources_pb2 import GuestSpec, GuestVolume

DETACH_SECONDS = 20.0


class Attachments:
    """The ledger knows of a volume before the guest has it, and until it is certain that it has not."""

    def __init__(self, ledger: Ledger, hypervisor: Hypervisor, disks: GuestDisks, turns: Turns) -> None:
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._disks = disks
        self._turns = turns

    async def attach(self, server_id: str, volume: GuestVolume) -> GuestVolume:
        """Give it a volume for good."""
        names = turns.guest(server_id), turns.volume(volume.volume_id)
        return await self._turns.take(lambda: self._attach(server_id, volume), *names)

    async def detach(self, server_id: str, attachment_id: str) -> None:
        """Take a volume away. DEADLINE_EXCEEDED when the guest does not let go of it."""
        await self._turns.take(lambda: self._detach(server_id, attachment_id), turns.guest(server_id))

    async def resize(self, server_id: str, volume_id: str, size_bytes: int) -> None:
        """Tell it that a volume has another size."""
        if self._volume(server_id, volume_id) is not None:
            await self._hypervisor.grow(server_id, serial_of(volume_id), size_bytes)

    async def _attach(self, server_id: str, volume: GuestVolume) -> GuestVolume:
        record = self._ledger.guest(server_id)
        spec = record.guest
        known = next((v for v in spec.volumes if v.attachment_id == volume.attachment_id), None)
        if known is None:
            volume.device = volume.device or self._next_device(spec)
            known = volume
            spec.volumes.append(volume)
        disk = self._disks.volume(known, server_id)
        await self._ledger.keep(replace(record, spec=spec.SerializeToString()))
        await self._hypervisor.plug(server_id, disk)
        return known

    def _next_device(self, spec: GuestSpec) -> str:
        own = ["vda"] if spec.HasField("root_disk") else []
        own += ["vdb"] if spec.ephemeral_bytes else []
        return next_target([*own, *(volume.device for volume in spec.volumes)])

    async def _detach(self, server_id: str, attachment_id: str) -> None:
        record = self._ledger.guests.get(server_id)
        volumes = record.guest.volumes if record else []
        volume = next((v for v in volumes if v.attachment_id == attachment_id), None)
        if volume is None:
            return
        if await self._hypervisor.see(server_id) and not await self._hypervisor.unplug(
            server_id, serial_of(volume.volume_id), DETACH_SECONDS
        ):
            message = f"The guest does not let go of the volume {volume.volume_id}: unmount it there first."
            raise CloudError("DEADLINE_EXCEEDED", message)
        await self._forget_volume(server_id, attachment_id)

    async def _forget_volume(self, server_id: str, attachment_id: str) -> None:
        record = self._ledger.guest(server_id)
        spec = record.guest
        kept = [volume for volume in spec.volumes if volume.attachment_id != attachment_id]
        del spec.volumes[:]
        spec.volumes.extend(kept)
        await self._ledger.keep(replace(record, spec=spec.SerializeToString()))

    def _volume(self, server_id: str, volume_id: str) -> GuestVolume | None:
        volumes = self._ledger.guest(server_id).guest.volumes
        return next((volume for volume in volumes if volume.volume_id == volume_id), None)
