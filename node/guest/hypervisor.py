"""What the agent asks of a hypervisor, whichever it is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.errors import CloudError, wrong_status
from node.guest.devices import Disk
from weft.node.v1.resources_pb2 import GuestPort, GuestSpec, GuestState


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a guest was seen to do, and the hypervisor's word for why."""

    state: GuestState.ValueType
    detail: str = ""

    @property
    def active(self) -> bool:
        """Whether a process runs for it."""
        return self.state in (GuestState.GUEST_STATE_RUNNING, GuestState.GUEST_STATE_PAUSED)


def off(server_id: str) -> CloudError:
    """What is asked needs a guest that runs."""
    return wrong_status("guest", server_id, "off", ("RUNNING", "PAUSED"))


Listener = Callable[[str, Sighting | None], None]
"""Called on the agent's loop with a server's id and what it does; None: it is not defined any more."""


class Hypervisor(ABC):
    """Runs guests. Every method raises HYPERVISOR_FAILED where the hypervisor refuses or is not there.

    Only guests that carry weft's mark are seen: one that an operator made by hand is not there at all, but
    for `foreign`.
    """

    kind: str
    """`kvm`, `tcg` or `simulated`."""

    @abstractmethod
    async def open(self, listener: Listener, resync: Callable[[], None]) -> None:
        """Begin; tell `listener` of every change, and call `resync` when some may have been missed."""

    @abstractmethod
    async def close(self) -> None:
        """End; guests run on."""

    @abstractmethod
    async def versions(self) -> dict[str, str]:
        """Versions of its parts, by name."""

    @abstractmethod
    async def list(self) -> dict[str, Sighting]:
        """All guests by server id."""

    @abstractmethod
    async def foreign(self) -> dict[str, str]:
        """Guests that are not ours, for an operator to be told of: their names by UUID."""

    @abstractmethod
    async def see(self, server_id: str) -> Sighting | None:
        """What a guest does; None when it is not defined."""

    @abstractmethod
    async def define(self, spec: GuestSpec, disks: Sequence[Disk], console: Path) -> None:
        """Make the guest known, and do not start it; its console is appended to the file `console`."""

    @abstractmethod
    async def undefine(self, server_id: str) -> None:
        """Kill it and forget it. Succeeds when it is not there."""

    @abstractmethod
    async def start(self, server_id: str) -> None:
        """Start it; nothing where it runs."""

    @abstractmethod
    async def ask_to_stop(self, server_id: str) -> None:
        """Press its power button."""

    @abstractmethod
    async def kill(self, server_id: str) -> None:
        """Cut its power, and forget its memory where that is on the disk; nothing where it is off."""

    @abstractmethod
    async def ask_to_reboot(self, server_id: str, patience: float) -> bool:
        """Press its power button and start it again; False when it has not within `patience` seconds."""

    @abstractmethod
    async def pause(self, server_id: str) -> None:
        """Have its processors stand still; nothing where they do. WRONG_STATUS when it is off."""

    @abstractmethod
    async def unpause(self, server_id: str) -> None:
        """Let them go on; nothing where they do. WRONG_STATUS when it is off."""

    @abstractmethod
    async def suspend(self, server_id: str) -> None:
        """Write its memory to the disk and end it: `start` reads it back, `kill` throws it away.

        Nothing where that was done. WRONG_STATUS when it is off otherwise.
        """

    @abstractmethod
    async def plug_card(self, server_id: str, port: GuestPort) -> None:
        """Give it a network card, now and for good; nothing where it has one with that MAC."""

    @abstractmethod
    async def unplug_card(self, server_id: str, mac_address: str, patience: float) -> bool:
        """Take a card away for good; False when it still holds on to it after `patience` seconds."""

    @abstractmethod
    async def plug(self, server_id: str, disk: Disk) -> None:
        """Give it a disk, now and for good; nothing where it has one with that serial."""

    @abstractmethod
    async def unplug(self, server_id: str, serial: str, patience: float) -> bool:
        """Take a disk away for good; False when it still holds on to it after `patience` seconds."""

    @abstractmethod
    async def grow(self, server_id: str, serial: str, size_bytes: int) -> None:
        """Tell a running guest that a disk has another size; nothing where it is off."""

    @abstractmethod
    async def copy(self, server_id: str, serial: str, target: Path) -> None:
        """Write a disk of a running guest, as it is at this moment, to a raw file."""

    @abstractmethod
    async def copy_root(self, server_id: str, target: Path) -> None:
        """Write the root disk of a running guest, as it is at this moment, to a qcow2 file of its own."""
