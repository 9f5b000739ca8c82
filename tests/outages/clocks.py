"""A clock of one's own for a process that is begun with it: an hour ahead, or behind, while it runs."""

import asyncio
import time
from pathlib import Path

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class Clock:
    """Told by a file that libfaketime reads when a second begins: at each look it would cost a process more
    than all its work. Only the time of day is told wrong: what measures spans goes on, as it does when
    somebody sets a machine's clock.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step(0)

    def step(self, hours: float) -> None:
        """From the next second on it is so much ahead of the true time; behind it, where negative."""
        scratch = self._file.with_suffix(".new")
        scratch.write_text(f"{hours * 3600:+.0f}\n")
        scratch.replace(self._file)

    @property
    def environ(self) -> dict[str, str]:
        """What a process has to be begun with."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "0",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }


async def next_second(less: float = 0.0) -> None:
    """Returns when a second of the true time begins, or `less` seconds before it does."""
    await asyncio.sleep((1 - less - time.time()) % 1 + 0.01)


def forget_the_dead() -> None:
    """Remove what the library keeps in shared memory for processes that are gone: killed, they leave it."""
    for file in Path("/dev/shm").glob("*faketime_s*_*"):
        if not Path("/proc", file.name.rpartition("_")[2]).exists():
            file.unlink(missing_ok=True)
