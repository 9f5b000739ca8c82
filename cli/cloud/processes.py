"""The processes of a one-machine cloud: begun apart from the terminal, known by pid files, ended by pid.

A pid file holds the pid and when that process began, so that another process of the same number is never
taken for ours.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli.cloud import spaces
from cli.cloud.layout import Layout
from cli.serve import command

# Seconds that a process gets to drain; a service takes ten at most.
PATIENCE = 20.0


@dataclass(frozen=True)
class Process:
    """One part of a cloud: `control`, `gateway` or a host by its name."""

    layout: Layout
    name: str

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.layout.state / "log" / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.layout.state / "run" / f"{self.name}.pid"

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        try:
            pid, began = self._pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _began(int(pid)) == began else None

    def start(self) -> None:
        """Begin it; its output goes to its log."""
        host = self.name in self.layout.names
        words = command("node" if host else self.name)
        if host:
            words = [*spaces.enter(self.layout.space(self.name)), *words]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("WEFT_")}
        environ |= {"WEFT_CONFIG": str(self.layout.config), **self.layout.environment}
        if host:
            environ |= self.layout.node_environment(self.name)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, start_new_session=True,
                cwd=self.layout.state,
            )  # fmt: skip
        self._pid_file.write_text(f"{child.pid} {_began(child.pid)}\n")

    def stop(self) -> None:
        """Tell it to end, and wait; end it by force when it does not."""
        pid = self.pid
        for number in (signal.SIGTERM, signal.SIGKILL):
            if pid is None or end(pid, number, PATIENCE):
                break
        self._pid_file.unlink(missing_ok=True)

    def last_words(self, lines: int = 8) -> str:
        """The end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""


def parts(layout: Layout) -> list[Process]:
    """Every process of a cloud, in the order that they are begun."""
    return [Process(layout, name) for name in ("control", "gateway", *layout.names)]


def end(pid: int, number: signal.Signals, patience: float) -> bool:
    """Send a signal; whether the process is gone within `patience` seconds."""
    began = _began(pid)
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if _began(pid) != began:
            return True
        time.sleep(0.05)
    return False


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks; "" when there is none. A dead child of ours is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if fields[0] == "Z":
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return ""
    return fields[19]
