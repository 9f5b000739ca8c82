"""A host agent as a process of its own, in a network namespace of its own, that can be killed."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from mesh import settings
from mesh.certificates import Authority
from mesh.settings import Settings
from tests.joined import joined

ROOT = Path(__file__).parents[2]
TINY = ROOT / ".cache" / "guest" / "weft-tiny.qcow2"


def tiny_image() -> bytes:
    """The small guest image, built first where it is missing."""
    if not TINY.exists():
        subprocess.run([sys.executable, "packaging/guest_image/build.py"], cwd=ROOT, check=True)
    return TINY.read_bytes()


class Machine:
    """A directory, a namespace, and an agent in them. Everything talks by unix sockets."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wn-"))  # short, as paths of sockets must be
        self.namespace = f"weft-test-{uuid.uuid4().hex[:8]}"
        self.environ = {"WEFT_CLOUD__STATE": str(self.folder), "WEFT_CLOUD__LOG_FORMAT": "text"}
        self.environ["WEFT_TRACING__ENABLED"] = "false"
        self.environ["WEFT_NODE__HYPERVISOR"] = "tcg"
        self.environ["WEFT_NODE__ADDRESS"] = f"unix:{self.folder}/node.sock"
        for name in settings.PORTS:
            self.environ[f"WEFT_SERVICES__{name.upper()}__ADDRESS"] = f"unix:{self.folder}/{name}.sock"
        self.settings: Settings = settings.load(environ=self.environ)
        self.state = self.folder / "node"
        self.log = self.folder / "agent.log"
        self._agent: subprocess.Popen[bytes] | None = None
        joined(self.state, Authority.open_or_create(self.folder / "pki"))
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)

    def start(self) -> None:
        """Start the agent."""
        command = ["nsenter", f"--net=/run/netns/{self.namespace}", sys.executable, "-m", "node"]
        environ = {**os.environ, **self.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'generated'}"}
        with self.log.open("ab") as log:
            self._agent = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)

    def end(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """End the agent, and wait until it is gone."""
        if self._agent is not None:
            agent, self._agent = self._agent, None
            agent.send_signal(sign)
            try:
                agent.wait(30)
            finally:
                agent.kill()
                agent.wait()

    def qemu(self, server_id: str) -> int | None:
        """The guest's process, if it runs."""
        return _running(self.state / "libvirt" / "run" / "qemu" / f"weft-{server_id}.pid")

    def libvirtd(self) -> int | None:
        """The host's libvirtd, if it runs."""
        return _running(self.state / "libvirt" / "libvirtd.pid")

    def console(self, server_id: str) -> str:
        """All that a guest said."""
        log = self.state / "guests" / server_id / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    async def says(self, server_id: str, text: str, times: int = 1, seconds: float = 90) -> str:
        """Wait until the guest has said `text` so often; its console."""
        for _ in range(int(seconds * 10)):
            console = await asyncio.to_thread(self.console, server_id)
            if console.count(text) >= times:
                return console
            await asyncio.sleep(0.1)
        raise AssertionError(f"the guest never said {text!r} {times} times: {console[-2000:]}")

    def close(self) -> None:
        """Leave nothing: no process, no namespace, no file."""
        self.end(signal.SIGKILL)
        for pid_file in [
            *self.state.glob("libvirt/run/qemu/weft-*.pid"),
            *self.state.glob("exports/*.pid"),
            self.state / "libvirt" / "libvirtd.pid",
        ]:
            pid = _running(pid_file)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.namespace], check=True)
        shutil.rmtree(self.folder)


def _running(pid_file: Path) -> int | None:
    """The process of a pid file, if it is one of this machine's."""
    try:
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if command else None
