"""Whether this agent may act as its host: what compute said when it registered, and what its disk remembers.

The disk remembers the epoch that it was given last. One that was restored remembers an older epoch than
compute knows; one that was copied is in another place than the host that lives. Compute refuses both, and an
agent that is refused does nothing as the host: it answers no call, wires nothing, starts no guest and reports
none.
"""

import asyncio
import hashlib
import os
from pathlib import Path

from mesh.errors import CloudError
from node.guest.libvirtd import boot_id

# Seconds that the network and, after a reboot, guests wait for compute to say whether this is still the host.
# Where nobody answers for so long, it is: guests must come back when control does not.
PATIENCE = 60.0


class Admission:
    """Of the agent whose state is in `folder`."""

    def __init__(self, folder: Path, host_id: str) -> None:
        self._file, self._host_id = folder / "epoch", host_id
        self.place = _place(folder)
        self.refusal = ""
        self._admitted = asyncio.Event()

    @property
    def last_epoch(self) -> int:
        """The epoch that this disk was given last; 0 when none."""
        try:
            return int(self._file.read_text())
        except FileNotFoundError:
            return 0

    def admit(self, epoch: int) -> None:
        """Compute has taken this agent for the host. Durable when this returns. Blocks."""
        scratch = self._file.with_suffix(".new")
        with scratch.open("w") as file:
            file.write(f"{epoch}\n")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._file)
        self.refusal = ""
        self._admitted.set()

    def refuse(self, why: str) -> None:
        """Compute takes another for the host, or this one's disk for too old."""
        self.refusal = why
        self._admitted.clear()

    def require(self) -> None:
        """Raises HOST_UNAVAILABLE while this agent is refused."""
        if self.refusal:
            message = f"The agent that answers for host {self._host_id} is not taken for it: {self.refusal}"
            raise CloudError("HOST_UNAVAILABLE", message, host_id=self._host_id)

    async def admitted(self) -> None:
        """Wait until compute takes this agent for the host."""
        await self._admitted.wait()

    async def may_act(self) -> None:
        """Wait until the agent may act as the host: compute says so, or says nothing for a minute."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.admitted()
        except TimeoutError:
            if self.refusal:
                await self.admitted()


def _place(folder: Path) -> str:
    """Of this boot of this machine, and of this very directory."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    seen = folder.stat()
    return hashlib.sha256(f"{boot_id()}/{seen.st_dev}/{seen.st_ino}".encode()).hexdigest()[:32]
