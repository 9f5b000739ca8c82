"""Names of everything that a host agent makes in the kernel.

They tell ours from others': what has such a name and is not wanted is removed, nothing else is touched.
Links have at most 15 characters, so they carry the first 11 of an id (40 random bits); namespaces are
known by name to the whole machine, so they carry the host's id too.
"""

import re

_SHORT = 11
_LINK = re.compile(r"(wb|wx|wv|wm)[0-9a-f]{8}-[0-9a-f]{2}")
_TAP = re.compile(r"tap[0-9a-f]{8}-[0-9a-f]{2}")
TAP_ALIAS = "weft"


def bridge(network_id: str) -> str:
    """The bridge of a network that is carried over VXLAN."""
    return "wb" + network_id[:_SHORT]


def vxlan(network_id: str) -> str:
    """The network's tunnels to other hosts."""
    return "wx" + network_id[:_SHORT]


def tap(port_id: str) -> str:
    """What the hypervisor opens for a port."""
    return "tap" + port_id[:_SHORT]


def router_link(port_id: str) -> str:
    """A router's interface: its end on the bridge."""
    return "wv" + port_id[:_SHORT]


def router_inner(port_id: str) -> str:
    """A router's interface: its end in the router's namespace."""
    return "wi" + port_id[:_SHORT]


def metadata_link(network_id: str) -> str:
    """The metadata server's end on the bridge."""
    return "wm" + network_id[:_SHORT]


METADATA_INNER = "meta"


def router_space(router_id: str, host_id: str) -> str:
    """The namespace of a router on one host."""
    return f"weft-r-{router_id}-{host_id[:8]}"


def is_of_router(name: str) -> bool:
    """Whether a link or namespace is a router's, of whichever host."""
    return name.startswith(("weft-r-", "wv"))


def metadata_space(network_id: str, host_id: str) -> str:
    """The namespace of a network's metadata server on one host."""
    return f"weft-m-{network_id}-{host_id[:8]}"


def is_our_link(name: str, alias: str) -> bool:
    """Whether a link of that name is ours; taps of others have like names, so ours say so in their alias."""
    return bool(_LINK.fullmatch(name)) or (bool(_TAP.fullmatch(name)) and alias == TAP_ALIAS)


def is_our_space(name: str, host_id: str) -> bool:
    """Whether a namespace of that name is this host's."""
    return bool(re.fullmatch(rf"weft-[rm]-[0-9a-f-]{{36}}-{re.escape(host_id[:8])}", name))


def may_remove(name: str) -> bool:
    """Whether a link that we had is ours to remove; a bridge of the operator's never is."""
    return bool(_LINK.fullmatch(name) or _TAP.fullmatch(name))
