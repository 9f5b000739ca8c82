"""Domains as libvirt wants them told."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

from mesh.errors import CloudError
from node.guest.devices import Disk, FileSource, NbdSource
from weft.node.v1.resources_pb2 import GuestPort, GuestSpec

NAMESPACE = "urn:weft:guest:1"
TAG = f"{{{NAMESPACE}}}guest"
# Free slots for disks that come while the guest runs; the guest's firmware counts every slot at each boot.
SPARE_SLOTS = 8
ARCH = "x86_64"
_Element = ElementTree.Element
_add = ElementTree.SubElement
ElementTree.register_namespace("weft", NAMESPACE)


def domain(spec: GuestSpec, disks: Sequence[Disk], console: Path, kind: str, host_id: str) -> str:
    """The domain of a guest; `kind` is `kvm` or `tcg`, or libvirt's word. Its metadata says whose it is."""
    root = _Element("domain", type=type_of(kind))
    _add(root, "name").text = f"weft-{spec.server_id}"
    _add(root, "uuid").text = spec.server_id
    _add(_add(root, "metadata"), TAG, operation=spec.operation_id, host=host_id)
    _add(root, "memory", unit="MiB").text = str(spec.memory_mib)
    _add(root, "vcpu").text = str(spec.vcpus)
    _identity(root, spec)
    _machine(root, kind)
    devices = _add(root, "devices")
    _slots(devices, len(disks) + len(spec.ports))
    if any(disk.cdrom for disk in disks):
        _add(devices, "controller", type="scsi", model="virtio-scsi")
    for each in disks:
        devices.append(disk(each))
    for port in spec.ports:
        devices.append(interface(port))
    _console(devices, console)
    rng = _add(devices, "rng", model="virtio")
    _add(rng, "backend", model="random").text = "/dev/urandom"
    _add(devices, "memballoon", model="virtio")
    return ElementTree.tostring(root, encoding="unicode")


def type_of(kind: str) -> str:
    """libvirt's word for how guests run."""
    return "qemu" if kind == "tcg" else kind


def _identity(root: _Element, spec: GuestSpec) -> None:
    """What the firmware tells the guest; cloud-init asks for metadata where the product has this name."""
    system = _add(_add(root, "sysinfo", type="smbios"), "system")
    for name, text in (
        ("manufacturer", "weft"),
        ("product", "OpenStack Compute"),
        ("serial", spec.server_id),
        ("uuid", spec.server_id),
    ):
        _add(system, "entry", name=name).text = text


def _machine(root: _Element, kind: str) -> None:
    system = _add(root, "os")
    _add(system, "type", arch=ARCH, machine="q35").text = "hvm"
    _add(system, "smbios", mode="sysinfo")
    features = _add(root, "features")
    _add(features, "acpi")
    _add(features, "apic")
    if kind == "kvm":
        _add(root, "cpu", mode="host-model", check="partial")
    else:
        # A named model: what TCG calls `max` emulates more than guests use, and is slower.
        cpu = _add(root, "cpu", mode="custom", match="exact", check="none")
        _add(cpu, "model", fallback="forbid").text = "Westmere"
    _add(root, "clock", offset="utc")
    _add(root, "on_poweroff").text = "destroy"
    _add(root, "on_reboot").text = "restart"
    _add(root, "on_crash").text = "destroy"


def _slots(devices: _Element, used: int) -> None:
    """pcie-root first, then a root port for each device and some to spare: there is no adding them later."""
    _add(devices, "controller", type="pci", index="0", model="pcie-root")
    own = 4  # SCSI controller, RNG, balloon, and one for what libvirt may add
    for _ in range(used + own + SPARE_SLOTS):
        _add(devices, "controller", type="pci", model="pcie-root-port")
    _add(devices, "controller", type="usb", model="none")


def _console(devices: _Element, log: Path) -> None:
    serial = _add(devices, "serial", type="pty")
    _add(serial, "log", file=str(log), append="on")
    _add(_add(serial, "target", type="isa-serial", port="0"), "model", name="isa-serial")
    console = _add(devices, "console", type="pty")
    _add(console, "target", type="serial", port="0")


def disk(each: Disk) -> _Element:
    """One disk. Volumes are raw; only a guest's own root disk is qcow2."""
    remote = isinstance(each.source, NbdSource)
    root = _Element("disk", type="network" if remote else "file", device="cdrom" if each.cdrom else "disk")
    # What a guest flushes is on the disk; what it only reads of a shared base is cached once for all guests.
    driver = _add(root, "driver", name="qemu", type=_format(each), cache="writeback")
    if not each.cdrom:
        driver.set("discard", "unmap")  # a guest's TRIM gives room back
    root.append(_nbd(each.source) if isinstance(each.source, NbdSource) else _file(each.source))
    _add(root, "target", dev=each.target, bus="scsi" if each.cdrom else "virtio")
    if each.cdrom:
        _add(root, "readonly")
    if each.serial:
        _add(root, "serial").text = each.serial
    if each.boot_order:
        _add(root, "boot", order=str(each.boot_order))
    return root


def _format(each: Disk) -> str:
    return "raw" if isinstance(each.source, NbdSource) else each.source.format


def _file(source: FileSource) -> _Element:
    return _Element("source", file=str(source.path))


def _nbd(source: NbdSource) -> _Element:
    root = _Element("source", protocol="nbd", name=source.export)
    if source.address.startswith("unix:"):
        _add(root, "host", transport="unix", socket=source.address.removeprefix("unix:"))
        return root
    parts = urlsplit(f"//{source.address}")
    if not parts.hostname or not parts.port:
        raise CloudError("HYPERVISOR_FAILED", "The volume's NBD address is not host:port.", detail="nbd")
    _add(root, "host", name=parts.hostname, port=str(parts.port))
    return root


def interface(port: GuestPort) -> _Element:
    """A network card on the tap that the network agent has made: libvirt neither makes nor removes it."""
    root = _Element("interface", type="ethernet")
    _add(root, "mac", address=port.mac_address)
    _add(root, "target", dev=tap_name(port.port_id), managed="no")
    _add(root, "model", type="virtio")
    if port.mtu:
        _add(root, "mtu", size=str(port.mtu))
    return root


def tap_name(port_id: str) -> str:
    """The tap of a port; Linux allows 15 characters."""
    return f"tap{port_id[:11]}"


def text(element: _Element) -> str:
    """For libvirt's calls."""
    return ElementTree.tostring(element, encoding="unicode")


def host_of(metadata: str) -> str:
    """The host in weft's mark on a domain."""
    return ElementTree.fromstring(metadata).get("host", "")


def disk_with_serial(document: str, serial: str) -> _Element | None:
    """A domain's disk, found by what the guest sees of its id."""
    for element in ElementTree.fromstring(document).iterfind("./devices/disk"):
        if element.findtext("serial") == serial:
            return element
    return None


def target_of(element: _Element) -> str:
    """vda, vdb, ..."""
    found = element.find("target")
    return "" if found is None else found.get("dev", "")


def card_with_mac(document: str, mac_address: str) -> _Element | None:
    """A domain's network card."""
    for element in ElementTree.fromstring(document).iterfind("./devices/interface"):
        mac = element.find("mac")
        if mac is not None and mac.get("address", "").lower() == mac_address.lower():
            return element
    return None


def backup(target: str, all_targets: Sequence[str], file: Path, layout: str = "raw") -> str:
    """A copy of one disk, pushed to a new file of that layout."""
    root = _Element("domainbackup", mode="push")
    disks = _add(root, "disks")
    for name in all_targets:
        if name != target:
            _add(disks, "disk", name=name, backup="no")
            continue
        one = _add(disks, "disk", name=name, backup="yes", type="file")
        _add(one, "driver", type=layout)
        _add(one, "target", file=str(file))
    return text(root)


def targets(document: str) -> list[str]:
    """Names of all of a domain's disks."""
    return [target_of(e) for e in ElementTree.fromstring(document).iterfind("./devices/disk")]
