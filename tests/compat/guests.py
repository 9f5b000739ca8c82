"""Guests as the judges' users reach them."""

from pathlib import Path

from cli.demo.guest import Guest
from tests.end_to_end.clouds import Cloud


async def prove(world: Cloud, address: str, key: Path, name: str) -> None:
    """Log in through the floating IP, where there are real guests: it is the server of that name."""
    if world.layout.hypervisor != "simulated":
        guest = Guest(world.layout.space("outside"), address, key)
        await guest.reachable(name)
        assert "/dev/vdb" in await guest.run("ls /dev/vd?")
