"""Makes a namespace of ours as wanted: its interfaces' addresses, its routes, neighbours, rules and settings.

The links themselves are the near ends' business: a far end that is missing is made with its near end.
"""

import socket
from collections.abc import Callable, Iterator

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from node.wire import announce, entries, links, namespaces, nft, observe, ruleset
from node.wire.picture import Interface, Route, Space

_CONVERGED = (2, 3, 17, 99)  # ENOENT, ESRCH, EEXIST, EADDRNOTAVAIL


def missing_ends(have: Space | None, want: Space) -> set[str]:
    """Interfaces that are not there, or not with the MAC that they need."""
    there = have.interfaces if have else {}
    return {
        name
        for name, item in want.interfaces.items()
        if name not in there or there[name].mac != item.mac or there[name].mtu != item.mtu
    }


def create(want: Space) -> None:
    """Make the namespace, with its settings before it has links: those take them over. Raises OSError."""
    namespaces.create(want.name)
    with namespaces.inside(want.name):
        for key, value in observe.settings_differ(observe.inside(want.forwarding)).items():
            links.write_setting(key, value)


def settle(have: Space, want: Space) -> list[str]:
    """Make the namespace as wanted; what was done. Raises NetlinkError, NftError or OSError."""
    with namespaces.inside(want.name), IPRoute() as ip:
        return [*_settle(ip, have, want)]


def _settle(ip: IPRoute, have: Space, want: Space) -> Iterator[str]:
    for key, value in observe.settings_differ(observe.inside(want.forwarding)).items():
        links.write_setting(key, value)
        yield f"{key}={value}"
    commands = ruleset.changes(have.rules, want.rules)
    if commands:
        nft.run(commands)
        yield from commands
    for name, item in want.interfaces.items():
        yield from _interface(ip, have.interfaces.get(name), item)
    for route in have.routes - want.routes:
        _route(ip, "del", route)
        yield f"no {route}"
    for route in want.routes - have.routes:
        _route(ip, "replace", route)
        yield str(route)
    gone, new = have.neighbours - want.neighbours, want.neighbours - have.neighbours
    for failure in entries.change_neighbours(ip, gone, new).values():
        raise OSError(failure)
    yield from map(str, new)


def _interface(ip: IPRoute, have: Interface | None, want: Interface) -> Iterator[str]:
    index = socket.if_nametoindex(want.name)
    present = have.addresses if have else frozenset()
    for address in present - want.addresses:
        _address(ip, "del", index, address)
        yield f"{want.name} without {address}"
    if have is None or not have.up:
        ip.link("set", index=index, state="up")
        yield f"{want.name} up"
    # An address with its network first: the kernel takes the first as the source of what it sends.
    for address in sorted(want.addresses - present, key=lambda text: (int(text.split("/")[1]) >= 32, text)):
        _address(ip, "replace", index, address)
        yield f"{want.name} with {address}"
        if want.announce:
            announce.send(want.name, want.mac, address.split("/")[0])


def _address(ip: IPRoute, verb: str, index: int, address: str) -> None:
    text, _, length = address.partition("/")
    no_dad = {"flags": 0x02} if ":" in text else {}  # IFA_F_NODAD: every host has it, so it is never unique
    _tolerant(ip.addr, verb, index=index, address=text, prefixlen=int(length), **no_dad)


def _route(ip: IPRoute, verb: str, route: Route) -> None:
    _tolerant(ip.route, verb, dst=route.destination, gateway=route.via)


def _tolerant(call: Callable[..., object], verb: str, **arguments: object) -> None:
    try:
        call(verb, **arguments)
    except NetlinkError as error:
        if error.code not in _CONVERGED or (verb != "del" and error.code == 3):
            raise
