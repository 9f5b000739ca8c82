"""Reads the picture of what a host's network is, from the kernel; ours alone, by name."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from node.wire import names, namespaces, nft
from node.wire.picture import Forward, Interface, Link, Neighbour, Picture, Route, Space

_PERMANENT, _STATIC = 0x80, 0x40  # NUD_PERMANENT: on a bridge, an address of its own; NUD_NOARP: ours
_KERNEL_ROUTE = 2  # RTPROT_KERNEL: made by an address, not by us
_QUIET = {"ipv6/conf/{}/disable_ipv6": "1", "ipv4/conf/{}/arp_ignore": "8"}
_FORWARDING = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
_INSIDE = {
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/arp_ignore": "1",
    "ipv4/conf/all/arp_announce": "2",
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/default/accept_ra": "0",
}


def host(ip: IPRoute, shared_bridges: Iterable[str], host_id: str) -> Picture:
    """All of ours in the calling thread's namespace, bridges that we share, and our namespaces."""
    found = {message["index"]: message for message in ip.get_links()}
    by_index = {index: message.get_attr("IFLA_IFNAME") for index, message in found.items()}
    shared = set(shared_bridges)
    links = {}
    for message in found.values():
        item = link(message, by_index)
        if item and (item.name in shared or names.is_our_link(item.name, _alias(message))):
            links[item.name] = item
    mine = {index: name for index, name in by_index.items() if name in links}
    return Picture(
        links=links,
        forwards=frozenset(_forwards(ip, mine)),
        neighbours=frozenset(neighbours(ip, mine)),
        rules=nft.observe(),
        spaces={name: space(name) for name in our_spaces(host_id)},
    )


def our_spaces(host_id: str) -> list[str]:
    """Names of this host's namespaces, also of those that are only a name."""
    return [name for name in namespaces.names() if names.is_our_space(name, host_id)]


def _alias(message: Any) -> str:
    return message.get_attr("IFLA_IFALIAS") or ""


def link(message: Any, by_index: Mapping[int, str]) -> Link | None:
    """A link of one of our kinds from netlink's message; None for one of another kind."""
    name = message.get_attr("IFLA_IFNAME")
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info else None
    kind = "tap" if kind == "tun" else kind
    if kind not in ("bridge", "vxlan", "veth", "tap"):
        return None
    data = info.get_attr("IFLA_INFO_DATA")
    master = by_index.get(message.get_attr("IFLA_MASTER") or 0, "")
    port = info.get_attr("IFLA_INFO_SLAVE_DATA") if master else None
    return Link(
        name=name,
        kind=kind,
        mtu=message.get_attr("IFLA_MTU"),
        mac=message.get_attr("IFLA_ADDRESS"),
        up=bool(message["flags"] & 1),
        master=master,
        learning=_flag(port, "IFLA_BRPORT_LEARNING"),
        locked=_flag(port, "IFLA_BRPORT_LOCKED"),
        suppress=_flag(port, "IFLA_BRPORT_NEIGH_SUPPRESS"),
        vni=data.get_attr("IFLA_VXLAN_ID") if kind == "vxlan" else 0,
        local=_vtep(data) if kind == "vxlan" else "",
        filtered=kind == "bridge" and _flag(data, "IFLA_BR_NF_CALL_IPTABLES"),
    )


def _vtep(data: Any) -> str:
    return data.get_attr("IFLA_VXLAN_LOCAL") or data.get_attr("IFLA_VXLAN_LOCAL6") or ""


def _flag(port: Any, name: str) -> bool:
    return bool(port and port.get_attr(name))


def _forwards(ip: IPRoute, links: dict[int, str]) -> Iterator[Forward]:
    for message in ip.fdb("dump"):
        name, mac = links.get(message["ifindex"]), message.get_attr("NDA_LLADDR")
        remote = message.get_attr("NDA_DST")
        if name is not None and (remote or message["state"] & (_STATIC | _PERMANENT) == _STATIC):
            yield Forward(name, mac, remote or "")


def neighbours(ip: IPRoute, links: dict[int, str]) -> Iterator[Neighbour]:
    """Permanent entries, which only an administrator makes."""
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in ip.get_neighbours(family=family):
            name, mac = links.get(message["ifindex"]), message.get_attr("NDA_LLADDR")
            if name is not None and mac is not None and message["state"] == _PERMANENT:
                yield Neighbour(name, message.get_attr("NDA_DST"), mac)


def space(name: str) -> Space:
    """One of our namespaces as it is; an empty one where there is only a name."""
    if namespaces.identity(name) is None:
        return Space(name, {})
    with namespaces.inside(name), IPRoute() as ip:
        interfaces = _interfaces(ip)
        mine = {index: item.name for index, item in interfaces.items()}
        return Space(
            name=name,
            interfaces={item.name: item for item in interfaces.values()},
            routes=frozenset(_routes(ip)),
            neighbours=frozenset(neighbours(ip, mine)),
            rules=nft.observe(),
            forwarding=_read("ipv4/ip_forward") == "1",
        )


def _interfaces(ip: IPRoute) -> dict[int, Interface]:
    addresses: dict[int, set[str]] = {}
    for message in ip.get_addr():
        text = f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
        if not text.startswith("fe80:"):
            addresses.setdefault(message["index"], set()).add(text)
    found = {}
    for message in ip.get_links():
        name, index = message.get_attr("IFLA_IFNAME"), message["index"]
        if name != "lo":
            mac, mtu, up = (
                message.get_attr("IFLA_ADDRESS"),
                message.get_attr("IFLA_MTU"),
                message["flags"] & 1,
            )
            found[index] = Interface(name, mac, mtu, frozenset(addresses.get(index, ())), bool(up))
    return found


def _routes(ip: IPRoute) -> Iterator[Route]:
    for family, everywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for message in ip.get_routes(family=family, table=254):
            via = message.get_attr("RTA_GATEWAY")
            if message["proto"] != _KERNEL_ROUTE and via:
                yield Route(f"{message.get_attr('RTA_DST') or everywhere}/{message['dst_len']}", via)


def quiet(name: str) -> dict[str, str]:
    """Kernel settings of a link of ours on the host: its own stack takes no part in tenants' networks."""
    return {key.format(name): value for key, value in _QUIET.items()}


def inside(forwarding: bool) -> dict[str, str]:
    """Kernel settings of a namespace of ours; a new one may have the host's."""
    return _INSIDE | dict.fromkeys(_FORWARDING, str(int(forwarding)))


def settings_differ(wanted: dict[str, str]) -> dict[str, str]:
    """Of kernel settings under net/, those that are not as wanted; a kernel without one has it as wanted."""
    return {key: value for key, value in wanted.items() if _read(key) not in (value, None)}


def _read(key: str) -> str | None:
    try:
        return (Path("/proc/sys/net") / key).read_text().strip()
    except FileNotFoundError:
        return None
