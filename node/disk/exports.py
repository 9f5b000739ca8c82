"""Volumes of this host that another host reads and writes: one qemu-storage-daemon each, over NBD.

A daemon outlives the agent. It is known again by its pid file and by the export's id in its command line; one
that is gone although the ledger has it is started again where it was, so that the other side finds it.
"""

import asyncio
import json
import os
import signal
import socket
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path

from mesh.errors import CloudError
from node.disk import qemu_img, qmp
from node.disk.storage import sparse
from node.ledger import ExportRecord

_POLL_SECONDS = 0.1
_END_SECONDS = 10


class Exports(ABC):
    """Serves disks by NBD."""

    @abstractmethod
    def address(self, export_id: str) -> str:
        """Where a new export can be served: host:port or unix:/path."""

    @abstractmethod
    def running(self, export_id: str) -> bool:
        """Whether it is served."""

    @abstractmethod
    async def start(self, export: ExportRecord, disk: Path) -> None:
        """Serve the disk at the export's address. HYPERVISOR_FAILED."""

    @abstractmethod
    async def stop(self, export_id: str) -> None:
        """Serve it no more. Succeeds when it is not served."""

    @abstractmethod
    async def copy(self, export_id: str, target: Path, size_bytes: int) -> None:
        """Write the disk as it is at this moment to a raw file, while it is served."""


class StorageDaemons(Exports):
    """Daemons with their pid files, logs and monitors in `folder`, serving on `host` ("": a unix socket)."""

    def __init__(self, folder: Path, host: str) -> None:
        self._folder, self._host = folder, host
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)

    def address(self, export_id: str) -> str:
        if not self._host:
            return f"unix:{self._file(export_id, 'nbd')}"
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with closing(socket.socket(family)) as probe:
            probe.bind((self._host, 0))
            port = probe.getsockname()[1]
        return f"[{self._host}]:{port}" if family == socket.AF_INET6 else f"{self._host}:{port}"

    def running(self, export_id: str) -> bool:
        return self._pid(export_id) is not None

    async def start(self, export: ExportRecord, disk: Path) -> None:
        if self.running(export.id):
            return
        for stale in self._files(export.id):
            stale.unlink(missing_ok=True)
        blockdev = {
            "driver": "qcow2" if disk.suffix == ".qcow2" else "raw",
            "node-name": "disk",
            "read-only": export.read_only,
            "file": {"driver": "file", "filename": str(disk), "discard": "unmap"},
        }
        served = {
            "type": "nbd",
            "id": "export",
            "node-name": "disk",
            "name": export.id,
            "writable": not export.read_only,
        }
        await qemu_img.run(
            "qemu-storage-daemon", "--daemonize", "--pidfile", self._file(export.id, "pid"),
            "--blockdev", json.dumps(blockdev), "--nbd-server", json.dumps({"addr": _where(export.address)}),
            "--export", json.dumps(served), "--chardev", f"socket,id=qmp,server=on,wait=off,"
            f"path={self._file(export.id, 'qmp')}", "--monitor", "chardev=qmp", near=self._folder,
        )  # fmt: skip

    async def stop(self, export_id: str) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if await self._end(export_id, sign):
                break
        for file in self._files(export_id):
            file.unlink(missing_ok=True)

    async def copy(self, export_id: str, target: Path, size_bytes: int) -> None:
        await asyncio.to_thread(sparse, target, size_bytes)
        async with qmp.monitor(self._file(export_id, "qmp")) as monitor:
            file = {"driver": "file", "filename": str(target)}
            await monitor.ask("blockdev-add", driver="raw", node_name="copy", file=file)
            try:
                await monitor.ask(
                    "blockdev-backup",
                    job_id="copy",
                    device="disk",
                    target="copy",
                    sync="full",
                    auto_dismiss=False,
                )
                await _finish(monitor)
            finally:
                await monitor.ask("blockdev-del", node_name="copy")

    async def _end(self, export_id: str, sign: signal.Signals) -> bool:
        """Whether it is gone, after being asked and given some time."""
        for _ in range(int(_END_SECONDS / _POLL_SECONDS)):
            pid = self._pid(export_id)
            if pid is None:
                return True
            os.kill(pid, sign)
            await asyncio.sleep(_POLL_SECONDS)
        return self._pid(export_id) is None

    def _pid(self, export_id: str) -> int | None:
        try:
            pid = int(self._file(export_id, "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if export_id.encode() in command else None

    def _file(self, export_id: str, ending: str) -> Path:
        return self._folder / f"{_short(export_id)}.{ending}"

    def _files(self, export_id: str) -> list[Path]:
        return [self._file(export_id, ending) for ending in ("pid", "qmp", "nbd")]


def _short(export_id: str) -> str:
    """Paths of unix sockets have to be short; the command line holds the whole id."""
    return export_id.replace("-", "")[:16]


def _where(address: str) -> dict[str, str]:
    if address.startswith("unix:"):
        return {"type": "unix", "path": address.removeprefix("unix:")}
    host, _, port = address.rpartition(":")
    return {"type": "inet", "host": host.strip("[]"), "port": port}


async def _finish(monitor: qmp.Monitor) -> None:
    while True:
        job = (await monitor.ask("query-jobs"))[0]
        if job["status"] == "concluded":
            break
        await asyncio.sleep(_POLL_SECONDS)
    await monitor.ask("job-dismiss", id="copy")
    if "error" in job:
        raise CloudError("HYPERVISOR_FAILED", "A copy of the exported volume failed.", detail="backup")


def url(address: str, export: str) -> str:
    """What qemu-img calls an export."""
    if address.startswith("unix:"):
        return f"nbd+unix:///{export}?socket={address.removeprefix('unix:')}"
    return f"nbd://{address}/{export}"
