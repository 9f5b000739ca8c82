"""Makes, changes and removes links of the host's own namespace."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from pyroute2 import IPRoute

from node.wire import observe, taps
from node.wire.names import TAP_ALIAS
from node.wire.picture import Link

VXLAN_PORT = 4789  # RFC 7348
_ORDER = {"bridge": 0, "vxlan": 1, "veth": 2, "tap": 3}
_FIXED = ("kind", "vni", "local")
_PORT_FLAGS = ("learning", "locked", "suppress")


def order(link: Link) -> int:
    """Bridges before their ports."""
    return _ORDER[link.kind]


def differences(have: Link, want: Link) -> list[str]:
    """Names of what is not as wanted; what may be anything does not differ."""
    free = {"mac"} if not want.mac else set()
    free |= {"mtu"} if not want.mtu else set()
    fields = ("kind", "vni", "local", "mtu", "mac", "up", "master", *_PORT_FLAGS, "filtered")
    return [name for name in fields if name not in free and getattr(have, name) != getattr(want, name)]


def settle(ip: IPRoute, have: Link | None, want: Link) -> None:
    """Make a link as wanted, up at the end. Raises NetlinkError or OSError."""
    wrong = differences(have, want) if have else []
    if have and any(name in wrong for name in _FIXED):
        delete(ip, want.name)
        have = None
    if have is None:
        _CREATE[want.kind](ip, want)
        have, wrong = _blank(want), differences(_blank(want), want)
    for key, value in observe.settings_differ(observe.quiet(want.name) if want.mtu else {}).items():
        write_setting(key, value)
    _change(ip, socket.if_nametoindex(want.name), have, want, wrong)


def _blank(want: Link) -> Link:
    """What a link is right after it was made."""
    filtered = want.filtered
    return Link(
        want.name, want.kind, 0, mac=want.mac, up=False, vni=want.vni, local=want.local, filtered=filtered
    )


def _change(ip: IPRoute, index: int, have: Link, want: Link, wrong: list[str]) -> None:
    if "up" in wrong and not want.up:
        ip.link("set", index=index, state="down")
    if "mtu" in wrong:
        ip.link("set", index=index, mtu=want.mtu)
    if "mac" in wrong:
        ip.link("set", index=index, address=want.mac)
    if "filtered" in wrong:
        ip.link("set", index=index, kind="bridge", br_nf_call_iptables=1, br_nf_call_ip6tables=1)
    if "master" in wrong:
        ip.link("set", index=index, master=socket.if_nametoindex(want.master) if want.master else 0)
    if want.master and {"master", *_PORT_FLAGS} & set(wrong):
        _set_port(ip, index, want)
    if "up" in wrong and want.up:
        ip.link("set", index=index, state="up")


def _set_port(ip: IPRoute, index: int, want: Link) -> None:
    ip.brport(
        "set",
        index=index,
        learning=int(want.learning),
        locked=int(want.locked),
        neigh_suppress=int(want.suppress),
    )


def delete(ip: IPRoute, name: str) -> None:
    """Remove a link; one that is gone already is fine."""
    try:
        index = socket.if_nametoindex(name)
    except OSError:
        return
    ip.link("del", index=index)


def _make_bridge(ip: IPRoute, want: Link) -> None:
    given = {"address": want.mac} if want.mac else {}
    ip.link(
        "add",
        ifname=want.name,
        kind="bridge",
        br_forward_delay=0,
        br_mcast_snooping=0,  # without a querier it forgets who listens, and IPv6 neighbour discovery fails
        br_nf_call_iptables=1,
        br_nf_call_ip6tables=1,
        **given,
    )


def _make_vxlan(ip: IPRoute, want: Link) -> None:
    local = {"vxlan_local6" if ":" in want.local else "vxlan_local": want.local}
    ip.link(
        "add",
        ifname=want.name,
        kind="vxlan",
        vxlan_id=want.vni,
        vxlan_port=VXLAN_PORT,
        vxlan_learning=0,
        **local,
    )


def _make_veth(ip: IPRoute, want: Link) -> None:
    peer = {"ifname": want.peer, "address": want.peer_mac, "mtu": want.mtu, "net_ns_fd": want.space}
    ip.link("add", ifname=want.name, kind="veth", peer=peer)


def _make_tap(ip: IPRoute, want: Link) -> None:
    """The alias that makes it ours comes before it outlives us, so a death in between leaves nothing."""
    descriptor = taps.open_tap(want.name)
    try:
        ip.link("set", index=socket.if_nametoindex(want.name), ifalias=TAP_ALIAS)
        taps.persist(descriptor)
    finally:
        os.close(descriptor)


_CREATE: dict[str, Callable[[IPRoute, Link], None]] = {
    "bridge": _make_bridge,
    "vxlan": _make_vxlan,
    "veth": _make_veth,
    "tap": _make_tap,
}


def write_setting(key: str, value: str) -> None:
    """Set a kernel setting under net/ in the calling thread's namespace."""
    (Path("/proc/sys/net") / key).write_text(value)
