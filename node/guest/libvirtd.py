"""A libvirtd of the agent's own: its configuration, state and socket are apart from the machine's.

libvirt's directories are fixed when it is compiled, so the daemon gets a mount namespace in which they are
ours. It and its guests outlive the agent; a new agent adopts a running libvirtd, and a new libvirtd adopts
running guests. The daemon joins the network namespace that the agent is in.
"""

import logging
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from mesh.errors import CloudError

_log = logging.getLogger(__name__)
_START_SECONDS = 30

# Run as root with the state directory as $1: puts our directories over libvirt's, in its own mount namespace.
_ENTER = """
set -e
for pair in run:/run/libvirt etc:/etc/libvirt \
    lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt
do
    mkdir -p "${pair#*:}"
    mount --bind "$1/${pair%%:*}" "${pair#*:}"
done
exec libvirtd --daemon --pid-file "$1/libvirtd.pid"
"""

_LIBVIRTD_CONF = """
unix_sock_dir = "{state}/sock"
unix_sock_group = "root"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 0
host_uuid = "{host_id}"
log_outputs = "3:file:{state}/log/libvirtd.log"
"""

# Files are opened for QEMU by nobody but itself, so nothing of ours changes its owner; console logs are
# written by QEMU itself, so they do not depend on a second daemon.
_QEMU_CONF = """
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
namespaces = [ ]
"""


class Libvirtd:
    """The daemon that keeps its things in `state`, as the host `host_id` (UUID)."""

    def __init__(self, state: Path, host_id: str) -> None:
        self._state = state.absolute()
        self._host_id = host_id

    @property
    def uri(self) -> str:
        """Where to connect."""
        return f"qemu:///system?socket={self._socket}"

    @property
    def _socket(self) -> Path:
        return self._state / "sock" / "libvirt-sock"

    @property
    def pid(self) -> int | None:
        """Its process, if it runs. A pid file proves nothing: the command line has to name our state."""
        try:
            pid = int((self._state / "libvirtd.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self._state) in command else None

    def ensure(self) -> None:
        """Have it run and listening when this returns. Blocks; raises HYPERVISOR_FAILED."""
        if self.pid is not None and self._listens():
            return
        self._prepare()
        _log.info("starting libvirtd", extra={"host_id": self._host_id})
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", str(self._state)]
        try:
            result = subprocess.run(
                enter, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_START_SECONDS,
                start_new_session=True, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._failed(type(error).__name__) from error
        if result.returncode:
            _log.error("libvirtd did not start: %s", result.stderr.strip())
            raise self._failed(f"exit status {result.returncode}")

    def stop(self) -> None:
        """End it; its guests run on."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
        return True

    def _prepare(self) -> None:
        self._forget_runtime_of_an_earlier_boot()
        self._forget_starts_of_nothing()
        for name in ("sock", "etc/qemu", "run", "lib/qemu", "log/qemu", "cache"):
            (self._state / name).mkdir(parents=True, exist_ok=True)
        self._state.chmod(0o700)
        values = {"state": self._state, "host_id": self._host_id}
        (self._state / "etc" / "libvirtd.conf").write_text(_LIBVIRTD_CONF.format(**values).lstrip())
        (self._state / "etc" / "qemu.conf").write_text(_QEMU_CONF.lstrip())

    def _forget_runtime_of_an_earlier_boot(self) -> None:
        """What libvirt keeps in /run is about processes that did not survive a reboot of the host."""
        mark, boot = self._state / "boot-id", boot_id()
        self._state.mkdir(parents=True, exist_ok=True)
        if not mark.exists() or mark.read_text() != boot:
            shutil.rmtree(self._state / "run", ignore_errors=True)
            mark.write_text(boot)

    def _forget_starts_of_nothing(self) -> None:
        """Guests that a libvirtd was about to start when it died are off: it writes down a guest's process
        before it lets that begin, so where there is none there never was any. The next libvirtd (9.0) would
        keep such a start for ever, and nothing could end it, as it does not read back what a start lets pass.
        """
        if self.pid is not None:
            return
        for status in (self._state / "run" / "qemu").glob("*.xml"):
            if ElementTree.parse(status).getroot().get("pid") == "0":
                _log.warning("libvirtd died when it was about to start %s", status.stem)
                status.unlink()

    def _failed(self, detail: str) -> CloudError:
        message = "libvirtd cannot be started on this host; its log and `weft doctor` say why."
        return CloudError("HYPERVISOR_FAILED", message, detail=detail)


def boot_id() -> str:
    """Names this boot of the host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
