"""The processes of the cloud: begun, watched and begun again when they end, as a supervisor would."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.processes import children

ROOT = Path(__file__).resolve().parents[2]
# A process that ends is begun again after so many seconds.
_AGAIN = 0.5
# None of them outlives whoever runs the chaos.
_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
# Seconds that a process which was told to end gets, those aside in which it waits for a processor: a service
# drains for ten, and says its last words for three.
_DRAIN = 25.0


class Part:
    """One process: `control-a`, `gateway`, `h1`."""

    def __init__(self, name: str, words: list[str], environ: dict[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self._words = [*_WITH_US, *words]
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self.wanted = False
        self.paused = False

    @property
    def pid(self) -> int:
        """Its process id, 0 while it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    @property
    def family(self) -> list[int]:
        """Its process, and those that control is several of."""
        of_control = (pid for pid, name in children(self.pid).items() if name.startswith("control-"))
        return [self.pid, *of_control] if self.pid else []

    def start(self) -> None:
        """Have it run."""
        self.wanted = True
        if self.pid:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environ, cwd=ROOT
            )

    def kill(self) -> None:
        """End it at once, and leave it so."""
        self.wanted = False
        self._send(signal.SIGKILL, self.pid)
        if self._process:
            self._process.wait()

    def pause(self) -> None:
        """Stop it where it is."""
        self.paused = True
        self._send(signal.SIGSTOP, *self.family)

    def resume(self) -> None:
        """Let it go on."""
        self.paused = False
        self._send(signal.SIGCONT, *self.family)

    async def end(self) -> bool:
        """Tell it to end, and leave it so; False when it had to be killed."""
        self.wanted = False
        family = self.family
        began, starved = time.monotonic(), starved_seconds(family)
        self._send(signal.SIGTERM, self.pid)
        while self.pid and time.monotonic() - began < _DRAIN + starved_seconds(family) - starved:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        obeyed = not self.pid
        self.kill()
        return obeyed

    def _send(self, number: signal.Signals, *pids: int) -> None:
        for pid in filter(None, pids):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class Supervisor:
    """Begins again what ended by itself; `told` is called with the name of each."""

    def __init__(self, parts: list[Part], told: Callable[[str], None]) -> None:
        self._parts, self._told = parts, told

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for part in self._parts:
                if part.wanted and not part.pid:
                    self._told(part.name)
                    part.start()
            await asyncio.sleep(_AGAIN)


def starved_seconds(pids: list[int]) -> float:
    """How long the first thread of one of these processes, of the worst, has been ready to run, and had to
    wait for a processor.
    """
    return max(map(_starved, pids), default=0.0)


def _starved(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def child_of(pid: int, name: str) -> int:
    """The process of that name which `pid` has begun; 0 when there is none."""
    return next((child for child, comm in children(pid).items() if comm == name), 0)
