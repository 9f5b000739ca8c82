"""What is done with one domain of libvirt. Every function blocks, and can be called again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element

import libvirt

from mesh.errors import CloudError
from node.guest import events, xml
from node.guest.devices import Disk
from node.guest.hypervisor import off
from weft.node.v1.resources_pb2 import GuestPort

# Where a guest's own disk is, unless it boots from a volume.
ROOT = "vda"
_LIVE, _CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG


def start(domain: libvirt.virDomain) -> None:
    """Have it run. What a libvirtd that died was starting is no guest, though its process is there: the next
    libvirtd ends that, and nobody would begin another.
    """
    if events.starts(*domain.state()):
        with _gone_is_fine():
            domain.destroy()
    if not domain.isActive():
        domain.create()


def destroy(domain: libvirt.virDomain) -> None:
    """Cut its power, and forget its memory where that is on the disk."""
    with _gone_is_fine():
        if domain.isActive():
            domain.destroy()
        if domain.hasManagedSaveImage():
            domain.managedSaveRemove()


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    """It may go by itself between two calls."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
            raise


def _flags(domain: libvirt.virDomain) -> tuple[int, ...]:
    return (_LIVE, _CONFIG) if domain.isActive() else (_CONFIG,)


def _disk(domain: libvirt.virDomain, serial: str, flag: int) -> Element | None:
    return xml.disk_with_serial(_document(domain, flag), serial)


def _card(domain: libvirt.virDomain, mac_address: str, flag: int) -> Element | None:
    return xml.card_with_mac(_document(domain, flag), mac_address)


def _document(domain: libvirt.virDomain, flag: int) -> str:
    return domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE if flag == _CONFIG else 0)


def plug(domain: libvirt.virDomain, disk: Disk) -> None:
    """Give it a disk, where it has none with that serial."""
    document = xml.text(xml.disk(disk))
    for flag in _flags(domain):
        if _disk(domain, disk.serial, flag) is None:
            domain.attachDeviceFlags(document, flag)


def detach(domain: libvirt.virDomain, serial: str) -> bool:
    """Ask for the disk; whether the guest let go of it. The lasting definition loses it last."""
    return _detach(domain, lambda flag: _disk(domain, serial, flag))


def _detach(domain: libvirt.virDomain, find: Callable[[int], Element | None]) -> bool:
    for flag in _flags(domain):
        element = find(flag)
        if element is None:
            continue
        try:
            domain.detachDeviceFlags(xml.text(element), flag)
        except libvirt.libvirtError as error:
            # The guest has been asked before and has not answered yet.
            if "in the process of unplug" not in str(error):
                raise
        if flag == _LIVE and find(flag) is not None:
            return False
    return True


def grow(domain: libvirt.virDomain, serial: str, size_bytes: int) -> None:
    """Tell it that a disk has another size, where it runs."""
    if domain.isActive() and (element := _disk(domain, serial, _LIVE)) is not None:
        domain.blockResize(xml.target_of(element), size_bytes, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def plug_card(domain: libvirt.virDomain, port: GuestPort) -> None:
    """Give it a network card, where it has none with that MAC."""
    document = xml.text(xml.interface(port))
    for flag in _flags(domain):
        if _card(domain, port.mac_address, flag) is None:
            domain.attachDeviceFlags(document, flag)


def detach_card(domain: libvirt.virDomain, mac_address: str) -> bool:
    """Ask for the card; whether the guest let go of it. The lasting definition loses it last."""
    return _detach(domain, lambda flag: _card(domain, mac_address, flag))


def pause(domain: libvirt.virDomain) -> None:
    """Have it stand still. WRONG_STATUS when it is off."""
    if not domain.isActive():
        raise off(domain.UUIDString())
    if domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
        domain.suspend()


def unpause(domain: libvirt.virDomain) -> None:
    """Let it go on. WRONG_STATUS when it is off."""
    if not domain.isActive():
        raise off(domain.UUIDString())
    if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()


def suspend(domain: libvirt.virDomain) -> None:
    """Write its memory to the disk. WRONG_STATUS when it is off, and there is none."""
    if domain.isActive():
        domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)
    elif not domain.hasManagedSaveImage():
        raise off(domain.UUIDString())


def begin_copy(domain: libvirt.virDomain, serial: str, target: Path) -> None:
    """Begin to write a disk, as it is now, to a raw file."""
    document = domain.XMLDesc(0)
    element = xml.disk_with_serial(document, serial)
    if element is None:
        raise CloudError("HYPERVISOR_FAILED", "The guest has no such disk.", detail="no disk")
    domain.backupBegin(xml.backup(xml.target_of(element), xml.targets(document), target), None, 0)


def begin_copy_of_root(domain: libvirt.virDomain, target: Path) -> None:
    """Begin to write its root disk, as it is now, to a qcow2 file that needs no other."""
    document = domain.XMLDesc(0)
    domain.backupBegin(xml.backup(ROOT, xml.targets(document), target, "qcow2"), None, 0)


def copied(domain: libvirt.virDomain) -> bool:
    """Whether the copy that was begun is complete. HYPERVISOR_FAILED."""
    if domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE:
        return False
    done = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    if not done.get("success", True):
        detail = str(done.get("errmsg", "the copy failed"))
        raise CloudError("HYPERVISOR_FAILED", "libvirt could not copy the guest's disk.", detail=detail)
    return True
