"""What the host has, as the scheduler counts it, and who the host is."""

import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path

from mesh import joining
from mesh.holder import NotJoined
from mesh.settings import Node

_MIB = 1 << 20
_GIB = 1 << 30
# What any host of weft's can do, in the words of os-traits.
_TRAITS = (
    "COMPUTE_NODE",
    "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_ISO",
    "COMPUTE_STORAGE_BUS_VIRTIO",
    "COMPUTE_NET_VIF_MODEL_VIRTIO",
    "COMPUTE_VOLUME_EXTEND",
)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Processors, memory in MiB and disk in GiB of the host, and what it can do."""

    vcpus: int
    memory_mib: int
    disk_gib: int
    traits: tuple[str, ...]


SIMULATED = Inventory(64, 512 * 1024, 10 * 1024, (*_TRAITS, "CUSTOM_HYPERVISOR_SIMULATED"))
"""What a simulated host says that it has."""


def take(hypervisor: str, disk_bytes: int) -> Inventory:
    """The inventory of this machine, whose disks may take `disk_bytes` in all."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    traits = (*_TRAITS, f"CUSTOM_HYPERVISOR_{hypervisor.upper()}")
    return Inventory(os.cpu_count() or 1, memory // _MIB, disk_bytes // _GIB, traits)


def host_id(settings: Node) -> str:
    """The host's UUID: as the settings say, else the one that it joined the cloud as. Raises NotJoined."""
    host_id = settings.host_id or joining.host_of(Path(settings.state))
    if not host_id:
        raise NotJoined(
            "node.state: this machine is no host yet: make a token with `weft join-token create`, and join "
            "with `weft node join`"
        )
    return host_id


def host_name(settings: Node) -> str:
    """The host's name: as the settings say, else the machine's."""
    return settings.name or socket.gethostname()


def kernel() -> str:
    """The version of the machine's kernel."""
    return platform.release()
