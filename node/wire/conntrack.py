"""Ends connections that are allowed no more.

The filters let pass what belongs to a connection once allowed. So when less is allowed than before, the
connections that would not be allowed now are looked up and forgotten; the others go on undisturbed.
"""

import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

from node.wire import filters, guard, rules
from weft.network.v1 import host_state_pb2

_ENOENT = 2
_KEYS = {"sport": "CTA_PROTO_SRC_PORT", "dport": "CTA_PROTO_DST_PORT"}
_ICMP = {1: "CTA_PROTO_ICMP", 58: "CTA_PROTO_ICMPV6"}
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection as its first packet had it, and where its answers go."""

    zone: int
    source: Address
    destination: Address
    answers_to: Address
    protocol: int
    port: int | None
    tuple: Any


def forget(wanted: Callable[[Connection], bool], zones: Collection[int] | None = None) -> int:
    """Forget connections that `wanted` picks in the calling thread's namespace; how many. None: any zone."""
    return sum(_forget(family, wanted, zones) for family in (socket.AF_INET, socket.AF_INET6))


def _forget(family: int, wanted: Callable[[Connection], bool], zones: Collection[int] | None) -> int:
    with closing(NFCTSocket(nfgen_family=family)) as table:
        found = [
            item
            for item in _connections(table, family)
            if (zones is None or item.zone in zones) and wanted(item)
        ]
        return sum(_delete(table, item) for item in found)


def _delete(table: NFCTSocket, item: Connection) -> bool:
    zone = {"zone": item.zone} if item.zone else {}
    try:
        table.entry("del", tuple_orig=item.tuple, **zone)
    except NetlinkError as error:
        if error.code != _ENOENT:
            raise
        return False
    return True


def _connections(table: NFCTSocket, family: int) -> Iterator[Connection]:
    for message in table.dump():
        original, reply = message.get_attr("CTA_TUPLE_ORIG"), message.get_attr("CTA_TUPLE_REPLY")
        if original is None or reply is None or message["nfgen_family"] != family:
            continue
        parts = _tuple(original, family)
        yield Connection(
            zone=message.get_attr("CTA_ZONE") or 0,
            source=ip_address(parts.saddr),
            destination=ip_address(parts.daddr),
            answers_to=ip_address(_tuple(reply, family).daddr),
            protocol=parts.proto,
            port=parts.icmp_type if parts.proto in _ICMP else parts.dport,
            tuple=parts,
        )


def _tuple(attributes: Any, family: int) -> NFCTAttrTuple:
    address, protocol = attributes.get_attr("CTA_TUPLE_IP"), attributes.get_attr("CTA_TUPLE_PROTO")
    prefix = "CTA_IP_V4" if family == socket.AF_INET else "CTA_IP_V6"
    number = protocol.get_attr("CTA_PROTO_NUM")
    icmp = _ICMP.get(number)
    details = {
        f"icmp_{key}": protocol.get_attr(f"{icmp}_{key.upper()}") for key in ("id", "type", "code") if icmp
    }
    return NFCTAttrTuple(
        family=family,
        saddr=address.get_attr(f"{prefix}_SRC"),
        daddr=address.get_attr(f"{prefix}_DST"),
        proto=number,
        **{key: protocol.get_attr(name) for key, name in _KEYS.items()},
        **details,
    )


def revoke(ports: Iterable[host_state_pb2.HostPort], groups: filters.Groups, zone: int) -> int:
    """Forget the connections of one network's ports that their groups do not allow; how many."""
    owners = {address: port for port in ports for address in guard.single_addresses(port)}

    def refused(item: Connection) -> bool:
        return any(
            port is not None
            and not filters.permitted(port, rules.Flow(ingress, remote, item.protocol, item.port), groups)
            for port, ingress, remote in (
                (owners.get(item.destination), True, item.source),
                (owners.get(item.source), False, item.destination),
            )
        )

    return forget(refused, {zone})


def forget_addresses(addresses: Collection[str], zones: Collection[int] | None = None) -> int:
    """Forget all connections from, to or translated to addresses; how many."""
    gone = {ip_address(address) for address in addresses}
    return forget(lambda item: bool(gone & {item.source, item.destination, item.answers_to}), zones)
