"""A guest that an operator starts by hand on a host is theirs, whatever happens to weft and libvirt."""

import asyncio
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.cloud import health
from cli.cloud.layout import Layout
from tests.end_to_end.clouds import Cloud, cloud, weft

# No disk, no network, and firmware that finds nothing to boot: it runs, and that is all.
_DOMAIN = """
<domain type='qemu'><name>by-hand</name><uuid>{id}</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>
"""


@pytest.fixture
def one_host() -> Iterator[Cloud]:
    with cloud(hosts=1, hypervisor="tcg") as found:
        yield found


class Operator:
    """Somebody with virsh on the first host."""

    def __init__(self, layout: Layout) -> None:
        self._host = layout.state / "h1"

    async def insists(self, *words: str) -> str:
        """What virsh answers, asked again while libvirtd is begun."""
        async with asyncio.timeout(60):
            while (done := await asyncio.to_thread(self._virsh, *words)).returncode:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        return done.stdout.strip()

    def _virsh(self, *words: str) -> subprocess.CompletedProcess[str]:
        uri = f"qemu:///system?socket={self._host}/libvirt/sock/libvirt-sock"
        return subprocess.run(["virsh", "-c", uri, *words], capture_output=True, text=True, check=False)

    def process(self, id: str) -> int:
        """The guest's QEMU; 0 when there is none."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes()
            except OSError:
                continue
            if b"qemu-system" in command and id.encode() in command:
                return int(path.parts[2])
        return 0


async def warnings(found: Cloud) -> list[dict[str, str]]:
    """As the command line lists them to an operator."""
    async with await health.administrator(found.layout) as admin:
        who = ["--endpoint", found.layout.endpoint, "--ca", str(found.layout.ca), "--token", admin.token]
    listed = await asyncio.to_thread(weft, *who, "warning", "list", "-o", "json")
    return json.loads(listed.stdout)


async def test_a_guest_by_hand_is_listed_once_and_never_touched(one_host: Cloud, tmp_path: Path) -> None:
    operator, id = Operator(one_host.layout), str(uuid.uuid4())
    definition = tmp_path / "domain.xml"
    definition.write_text(_DOMAIN.format(id=id))
    await operator.insists("define", str(definition))
    await operator.insists("start", "by-hand")
    process = operator.process(id)
    assert process
    try:
        async with asyncio.timeout(150):
            while not (found := await warnings(one_host)):  # noqa: ASYNC110 - two rounds of the host's sweep
                await asyncio.sleep(2)
        assert [(each["kind"], each["resource_id"]) for each in found] == [("FOREIGN_GUEST", id)]
        os.kill(one_host.pid("h1"), signal.SIGKILL)
        daemon = int((one_host.layout.state / "h1" / "libvirt" / "libvirtd.pid").read_text())
        os.kill(daemon, signal.SIGKILL)
        await asyncio.to_thread(one_host.up)
        assert await operator.insists("domstate", "by-hand") == "running"
        assert operator.process(id) == process
        assert len(await warnings(one_host)) == 1
    finally:
        await operator.insists("destroy", "by-hand")
        await operator.insists("undefine", "by-hand")
