"""Network cards that guests are given and give back, while they run too."""

from dataclasses import replace

from mesh.errors import CloudError
from node import turns
from node.guest.hypervisor import Hypervisor
from node.guest.power import WIRED_SECONDS, Wires
from node.ledger import GuestRecord, Ledger
from node.turns import Turns
from weft.node.v1.resources_pb2 import GuestPort

DETACH_SECONDS = 20.0


class Cards:
    """The ledger knows of a card before the guest has it, and until it is certain that it has not."""

    def __init__(self, ledger: Ledger, hypervisor: Hypervisor, wires: Wires, turns: Turns) -> None:
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._wires = wires
        self._turns = turns

    async def attach(self, server_id: str, port: GuestPort) -> None:
        """Give it a card for good. PORT_NOT_WIRED where it runs and the port is not wired in time."""
        await self._turns.take(lambda: self._attach(server_id, port), turns.guest(server_id))

    async def detach(self, server_id: str, port_id: str) -> None:
        """Take a card away. DEADLINE_EXCEEDED when the guest does not let go of it."""
        await self._turns.take(lambda: self._detach(server_id, port_id), turns.guest(server_id))

    async def _attach(self, server_id: str, port: GuestPort) -> None:
        record = self._ledger.guest(server_id)
        seen = await self._hypervisor.see(server_id)
        if seen and seen.active:
            await self._wires.ready(port.port_id, WIRED_SECONDS)
        await self._keep(record, [p for p in record.guest.ports if p.port_id != port.port_id] + [port])
        await self._hypervisor.plug_card(server_id, port)

    async def _detach(self, server_id: str, port_id: str) -> None:
        record = self._ledger.guests.get(server_id)
        ports = list(record.guest.ports) if record else []
        port = next((port for port in ports if port.port_id == port_id), None)
        if record is None or port is None:
            return
        if await self._hypervisor.see(server_id) and not await self._hypervisor.unplug_card(
            server_id, port.mac_address, DETACH_SECONDS
        ):
            message = f"The guest does not let go of the network card {port.mac_address}: try again."
            raise CloudError("DEADLINE_EXCEEDED", message)
        await self._keep(record, [p for p in ports if p.port_id != port_id])

    async def _keep(self, record: GuestRecord, ports: list[GuestPort]) -> None:
        spec = record.guest
        del spec.ports[:]
        spec.ports.extend(ports)
        await self._ledger.keep(replace(record, spec=spec.SerializeToString()))
