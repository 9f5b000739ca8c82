"""A libvirtd of the agent's own that dies before a guest's process begins (test_real_guest.py has the guests
that run, which are kept).
"""

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from node.guest import domains
from node.guest.libvirtd import Libvirtd
from tests.services.harness import until

pytestmark = pytest.mark.system
_GUEST = """
<domain type="qemu">
  <name>{name}</name>
  <memory unit="MiB">32</memory>
  <os><type arch="x86_64" machine="q35">hvm</type></os>
</domain>
"""
# As libvirt has written it, but for what the guest's QEMU can do.
_ABOUT_TO_START = """
<domstatus state="paused" reason="starting up" pid="0">
  <monitor path="/var/lib/libvirt/qemu/domain-1-{name}/monitor.sock" type="unix"/>
  <vcpus/>
  <qemuCaps/>
  <job type="none" async="start" flags="0x0" asyncStarted="1795282800241"/>
  <libDir path="/var/lib/libvirt/qemu/domain-1-{name}"/>
  <channelTargetDir path="/var/lib/libvirt/qemu/channel/target/domain-1-{name}"/>
  <blockjobs active="no"/>
  <agentTimeout>-2</agentTimeout>
  {domain}
</domstatus>
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Libvirtd]:
    made = Libvirtd(tmp_path / "libvirt", str(uuid.uuid4()))
    made.ensure()
    yield made
    connection = libvirt.open(made.uri)
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        domain.destroy()
    connection.close()
    made.stop()


async def died(daemon: Libvirtd) -> None:
    """As kill -9 leaves it."""
    assert daemon.pid is not None
    os.kill(daemon.pid, signal.SIGKILL)

    async def gone() -> bool:
        return daemon.pid is None

    await until(gone, 60)


async def test_a_guest_that_libvirtd_was_about_to_start_when_it_died_can_be_started(
    daemon: Libvirtd, tmp_path: Path
) -> None:
    name = f"weft-{uuid.uuid4()}"
    connection = libvirt.open(daemon.uri)
    document = connection.defineXML(_GUEST.format(name=name)).XMLDesc(0)
    connection.close()
    await died(daemon)
    status = tmp_path / "libvirt" / "run" / "qemu" / f"{name}.xml"
    status.write_text(_ABOUT_TO_START.format(name=name, domain=document))
    daemon.ensure()
    connection = libvirt.open(daemon.uri)
    domain = connection.lookupByName(name)
    assert not domain.isActive()
    domains.start(domain)
    assert domain.isActive()
    connection.close()
