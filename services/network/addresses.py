"""Addresses of subnets: which a CIDR has, which may be given out, and what makes a subnet sound."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise

from mesh.errors import CloudError, invalid
from services.network.gaps import Range

Address = IPv4Address | IPv6Address
Cidr = IPv4Network | IPv6Network
# Link-local addresses hold the metadata service; the others are nobody's to give to a guest.
_REFUSED = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"),
        *("::/16", "fe80::/10", "ff00::/8"),
    )
)


def canonical(address: str) -> str:
    """The one way to write an address, so that equal addresses are equal texts."""
    return str(ip_address(address))


def packed(number: int, version: int) -> bytes:
    """As kept in the database, where bytes sort as numbers do."""
    return number.to_bytes(4 if version == 4 else 16, "big")


def unpacked(data: bytes) -> Address:
    """What `packed` wrote."""
    return ip_address(data)


def parse_cidr(text: str) -> Cidr:
    """A subnet's CIDR. INVALID_ARGUMENT when no guest could use its addresses."""
    try:
        cidr = ip_network(text)
    except ValueError as error:
        raise invalid("cidr", str(error)) from error
    bad = next((net for net in _REFUSED if net.version == cidr.version and net.overlaps(cidr)), None)
    if bad is not None:
        raise invalid("cidr", f"{cidr} overlaps with {bad}, whose addresses cannot be given to guests")
    return cidr


def usable(cidr: Cidr) -> Range:
    """First and last number that a port may have: not the network's own, nor IPv4's broadcast address."""
    first, last = int(cidr.network_address), int(cidr.broadcast_address)
    if cidr.version == 4:
        return (first + 1, last - 1) if cidr.prefixlen <= 30 else (first, last)
    return (first + 1, last) if cidr.prefixlen <= 126 else (first, last)


def choose_gateway(cidr: Cidr, wanted: str, *, none: bool) -> str:
    """The router's address: `wanted`, or the first; "" when there is to be none."""
    if none:
        if wanted:
            raise invalid("gateway_ip", "cannot be given together with no_gateway")
        return ""
    if not wanted:
        return str(ip_address(packed(usable(cidr)[0], cidr.version)))
    within(cidr, wanted)
    return canonical(wanted)


def within(cidr: Cidr, address: str) -> int:
    """The number of an address. ADDRESS_OUT_OF_RANGE when no port of this subnet can have it."""
    parsed = ip_address(address)
    low, high = usable(cidr)
    if parsed.version != cidr.version or not low <= int(parsed) <= high:
        message = f"{parsed} is no address that a port in {cidr} can have."
        raise CloudError("ADDRESS_OUT_OF_RANGE", message, address=parsed, cidr=cidr)
    return int(parsed)


def choose_pools(cidr: Cidr, wanted: Sequence[tuple[str, str]], gateway: str) -> list[list[str]]:
    """The pools to give addresses from, in their order: those wanted, or all but the gateway's."""
    if not wanted:
        return _as_texts(_without(usable(cidr), gateway), cidr.version)
    pools = sorted((within(cidr, start), within(cidr, end)) for start, end in wanted)
    for low, high in pools:
        if low > high:
            raise invalid("allocation_pools", "a pool ends before it begins")
        if gateway and low <= int(ip_address(gateway)) <= high:
            raise invalid("allocation_pools", f"the gateway's address {gateway} is in a pool")
    if any(before[1] >= after[0] for before, after in pairwise(pools)):
        raise invalid("allocation_pools", "two pools overlap")
    return _as_texts(pools, cidr.version)


def ranges(pools: Iterable[Sequence[str]]) -> list[Range]:
    """Pools as numbers."""
    return [(int(ip_address(start)), int(ip_address(end))) for start, end in pools]


def check_overlap(cidr: str, others: Iterable[tuple[str, str]], subnet_id: str = "") -> None:
    """CIDR_OVERLAP when one of `others` (pairs of id and CIDR) shares an address with `cidr`."""
    mine = ip_network(cidr)
    for other_id, other in others:
        theirs = ip_network(other)
        if mine.version == theirs.version and mine.overlaps(theirs):
            message = f"{cidr} overlaps with {other} of subnet {other_id}."
            raise CloudError(
                "CIDR_OVERLAP", message, cidr=cidr, subnet_id=subnet_id or other_id, other_cidr=other
            )


def sound_routes(routes: Iterable[Sequence[str]], field: str) -> list[list[str]]:
    """Routes as kept. INVALID_ARGUMENT when a next hop is of another IP version than its destination."""
    kept = []
    for destination, next_hop in routes:
        target, hop = ip_network(destination), ip_address(next_hop)
        if target.version != hop.version:
            raise invalid(field, f"{destination} and {next_hop} are of different IP versions")
        kept.append([str(target), str(hop)])
    return kept


def connected_routes(routes: Iterable[Sequence[str]], cidrs: Iterable[str], field: str) -> list[list[str]]:
    """The same. INVALID_ARGUMENT also when a next hop is in none of the CIDRs."""
    kept, networks = sound_routes(routes, field), [ip_network(cidr) for cidr in cidrs]
    for _, next_hop in kept:
        if not any(ip_address(next_hop) in network for network in networks):
            raise invalid(field, f"{next_hop} is not on a subnet that is connected")
    return kept


def _without(whole: Range, gateway: str) -> list[Range]:
    if not gateway:
        return [whole]
    number = int(ip_address(gateway))
    parts = [(whole[0], min(whole[1], number - 1)), (max(whole[0], number + 1), whole[1])]
    return [(low, high) for low, high in parts if low <= high]


def _as_texts(pools: Iterable[Range], version: int) -> list[list[str]]:
    return [[str(unpacked(packed(n, version))) for n in pool] for pool in pools]
