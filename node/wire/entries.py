"""Makes and removes what tells a bridge where MACs are and who has which address."""

import socket
from collections.abc import Callable, Iterable

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from node.wire.picture import Forward, Neighbour

_CONVERGED = (
    2,
    17,
    19,
)  # ENOENT, EEXIST, ENODEV: it is as it should be, or its link is gone and told of itself
_STATIC = 0x40  # NUD_NOARP: by us, neither learned nor the bridge's own
_MASTER = 0x04  # NTF_MASTER: the entry is the bridge's


def change_forwards(ip: IPRoute, gone: Iterable[Forward], new: Iterable[Forward]) -> dict[str, str]:
    """Remove and make entries of forwarding tables; what failed and why, by link."""
    failed = _each(gone, lambda item: _forward(ip, "del", item))
    return failed | _each(new, lambda item: _forward(ip, "append" if item.remote else "replace", item))


def change_neighbours(ip: IPRoute, gone: Iterable[Neighbour], new: Iterable[Neighbour]) -> dict[str, str]:
    """Remove and make permanent neighbours; what failed and why, by link."""
    failed = _each(gone, lambda item: _neighbour(ip, "del", item))
    return failed | _each(new, lambda item: _neighbour(ip, "replace", item))


def _each(items: Iterable, act: Callable[..., None]) -> dict[str, str]:
    failed = {}
    for item in items:
        try:
            act(item)
        except NetlinkError as error:
            if error.code not in _CONVERGED:
                failed[item.link] = f"{item}: {error}"
        except OSError as error:  # the link has no index: it is gone, and its entries with it
            failed[item.link] = f"{item}: {error}"
    return failed


def _forward(ip: IPRoute, verb: str, item: Forward) -> None:
    index = socket.if_nametoindex(item.link)
    if item.remote:
        ip.fdb(verb, ifindex=index, lladdr=item.mac, dst=item.remote)
    else:
        ip.fdb(verb, ifindex=index, lladdr=item.mac, state=_STATIC, flags=_MASTER)


def _neighbour(ip: IPRoute, verb: str, item: Neighbour) -> None:
    index = socket.if_nametoindex(item.link)
    ip.neigh(verb, ifindex=index, dst=item.address, lladdr=item.mac, state="permanent")
