"""The network namespaces of a one-machine cloud. Nothing of the machine's own namespace is touched.

Each host has one, with a leg in `underlay`, which stands for the cable between hosts, and one in `outside`,
which stands for the world: there is the other side of the external network, and nowhere else.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cli.cloud.layout import OUTSIDE, UNDERLAY, Layout
from mesh.errors import CloudError

_WHERE = Path("/run/netns")
# Where node/wire has the physical network `external` (the default of node.bridge_mappings).
EXTERNAL_BRIDGE = "weft-ext"


def make(layout: Layout) -> None:
    """Make what is not there yet. Raises UNSUPPORTED where the kernel or the rights do not allow it."""
    for name in ("underlay", "outside"):
        if _new(layout.space(name)):
            _bridge(layout.space(name), "cable")
    _address(layout.space("outside"), "cable", f"{OUTSIDE}.1/24")
    for number, name in enumerate(layout.names):
        if _new(layout.space(name)):
            _host(layout, name, f"{UNDERLAY}.{10 + number}/24")


def remove(layout: Layout) -> None:
    """Remove all that `make` made, and what hosts' agents made besides: their routers' namespaces."""
    for name in [*layout.spaces, *of_agents(layout)]:
        if (_WHERE / name).exists():
            _ip("netns", "del", name)


def there(layout: Layout) -> list[str]:
    """Which of the cloud's namespaces exist."""
    return [name for name in [*layout.spaces, *of_agents(layout)] if (_WHERE / name).exists()]


def of_agents(layout: Layout) -> list[str]:
    """Namespaces that hosts' agents made: their names end with the begin of the host's id."""
    ids = list(_host_ids(layout))
    names = [path.name for path in _WHERE.iterdir()] if _WHERE.is_dir() else []
    return [n for n in names if any(re.fullmatch(rf"weft-[rm]-[0-9a-f-]{{36}}-{id}", n) for id in ids)]


def _host_ids(layout: Layout) -> Iterator[str]:
    for name in layout.names:
        file = layout.state / name / "host-id"
        if file.exists():
            yield file.read_text().strip()[:8]


def processes(space: str) -> list[int]:
    """The processes whose network is a namespace."""
    if not (_WHERE / space).exists():
        return []
    return [int(pid) for pid in _ip("netns", "pids", space).split()]


def enter(space: str) -> list[str]:
    """What a command begins with to run in a namespace. `ip netns exec` would hide the cgroups."""
    return ["nsenter", f"--net={_WHERE / space}"]


def _new(name: str) -> bool:
    if (_WHERE / name).exists():
        return False
    _ip("netns", "add", name)
    _ip("-n", name, "link", "set", "lo", "up")
    return True


def _bridge(space: str, name: str) -> None:
    _ip("-n", space, "link", "add", name, "type", "bridge")
    _ip("-n", space, "link", "set", name, "up")


def _host(layout: Layout, name: str, address: str) -> None:
    """A host's two legs: `under0` with its address, and `out0` in the bridge of the external network."""
    space = layout.space(name)
    for leg, other in (("under0", "underlay"), ("out0", "outside")):
        far = layout.space(other)
        _ip("link", "add", leg, "netns", space, "type", "veth", "peer", "name", name, "netns", far)
        _ip("-n", far, "link", "set", name, "master", "cable", "up")
    _address(space, "under0", address)
    _ip("-n", space, "link", "set", "under0", "up")
    _bridge(space, EXTERNAL_BRIDGE)
    _ip("-n", space, "link", "set", "out0", "master", EXTERNAL_BRIDGE, "up")


def _address(space: str, link: str, address: str) -> None:
    _ip("-n", space, "addr", "replace", address, "dev", link)


def _ip(*words: str) -> str:
    result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if result.returncode:
        said = result.stderr.strip() or f"exit status {result.returncode}"
        raise CloudError("UNSUPPORTED", f"`ip {' '.join(words)}` failed: {said}", feature="namespaces")
    return result.stdout
