"""What a host's network is to be, or is: plain values, so that two pictures can be compared.

`plan` draws one from what the network service wants, `observe` one from the kernel; `apply` makes the
second like the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.wire.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class Link:
    """A link in the host's own namespace.

    An empty `mac` and an `mtu` of 0 are any. `learning`, `locked` and `suppress` hold for ports of a bridge:
    learn senders, accept known senders alone, answer for known neighbours; `filtered` for bridges: pass
    packets through inet hooks. The far end of a veth is in namespace `space` by the name of `peer`: the
    kernel does not tell, so it is left out of comparisons.
    """

    name: str
    kind: str
    mtu: int
    mac: str = ""
    up: bool = True
    master: str = ""
    learning: bool = False
    locked: bool = False
    suppress: bool = False
    vni: int = 0
    local: str = ""
    filtered: bool = False
    space: str = field(default="", compare=False)
    peer: str = field(default="", compare=False)
    peer_mac: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Forward:
    """Frames to `mac` leave by `link`; on a VXLAN link, with `remote`, they go to that host."""

    link: str
    mac: str
    remote: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Neighbour:
    """Who has an address."""

    link: str
    address: str
    mac: str


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A way to a CIDR, by the address of a neighbour."""

    destination: str
    via: str


@dataclass(frozen=True, slots=True)
class Interface:
    """A link inside a namespace of ours. `announce`: tell others on the link of each new address."""

    name: str
    mac: str
    mtu: int
    addresses: frozenset[str]
    up: bool = True
    announce: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Space:
    """A namespace of ours: a router, or a network's metadata server."""

    name: str
    interfaces: Mapping[str, Interface]
    routes: frozenset[Route] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()
    rules: Ruleset = field(default_factory=dict)
    forwarding: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it. Links are ours alone; so are the entries of the other parts."""

    links: Mapping[str, Link] = field(default_factory=dict)
    forwards: frozenset[Forward] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()
    rules: Ruleset = field(default_factory=dict)
    spaces: Mapping[str, Space] = field(default_factory=dict)
