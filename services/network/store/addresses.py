"""Taking addresses: a free one is looked for in the gaps, and the table's key decides who has it."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from ipaddress import ip_network
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from mesh.errors import CloudError, invalid, not_found
from mesh.prepared import Prepared
from services.network import addresses, gaps
from services.network.model import FixedIp, Network, Subnet
from services.network.store import rows
from services.network.tables import fixed_ips

# The search mostly ends at the first few that are taken.
_FEW, _MANY = 8, 512
_TAKEN = Prepared(
    select(fixed_ips.c.packed)
    .where(
        fixed_ips.c.subnet_id == bindparam("subnet_id"),
        fixed_ips.c.packed.between(bindparam("low"), bindparam("high")),
    )
    .order_by(fixed_ips.c.packed)
    .limit(bindparam("most"))
)


def take(
    connection: Connection, subnet: Subnet, port_id: str, address: str = "", position: int = 0
) -> FixedIp:
    """Give a port one address of a subnet: `address`, or any of the pools.

    ADDRESS_OUT_OF_RANGE, ADDRESS_IN_USE; ADDRESSES_EXHAUSTED only when every one of the pools is taken.
    """
    row = {"subnet_id": subnet.id, "port_id": port_id, "position": position}
    if address:
        number = addresses.within(ip_network(subnet.cidr), address)
        if not _insert(connection, subnet, number, row):
            text = addresses.canonical(address)
            message = f"The address {text} is taken."
            raise CloudError("ADDRESS_IN_USE", message, address=text, network_id=subnet.network_id)
    else:
        number = _take_any(connection, subnet, row)
    return FixedIp(subnet.id, _text(subnet, number))


def take_wanted(
    connection: Connection,
    network: Network,
    subnets: Sequence[Subnet],
    port_id: str,
    wanted: Iterable[FixedIp],
) -> list[FixedIp]:
    """Give a port the addresses that it wishes for, or one of each IP version that the network has."""
    given: list[FixedIp] = []
    wishes = list(wanted)
    for wish in wishes:
        subnet = _subnet_for(network, subnets, wish)
        given.append(take(connection, subnet, port_id, wish.ip_address, len(given)))
    if not wishes:
        for version in (4, 6):
            of_version = [subnet for subnet in subnets if subnet.ip_version == version]
            if of_version:
                given.append(take_first(connection, of_version, port_id, len(given)))
    return given


def take_first(connection: Connection, subnets: Sequence[Subnet], port_id: str, position: int = 0) -> FixedIp:
    """Give a port an address of the first of these subnets that has one left."""
    *others, last = subnets
    for subnet in others:
        try:
            return take(connection, subnet, port_id, position=position)
        except CloudError as error:
            if error.reason != "ADDRESSES_EXHAUSTED":
                raise
    return take(connection, last, port_id, position=position)


def release(connection: Connection, port_id: str) -> None:
    """Take all of a port's addresses from it."""
    connection.execute(delete(fixed_ips).where(fixed_ips.c.port_id == port_id))


def _take_any(connection: Connection, subnet: Subnet, row: dict[str, Any]) -> int:
    ranges = addresses.ranges(subnet.allocation_pools)
    taken = partial(_taken, connection, subnet)
    while gaps.size(ranges):
        number = gaps.first_free(ranges, gaps.somewhere(ranges), taken)
        if number is None:
            break
        if _insert(connection, subnet, number, row):
            return number
    message = f"Every address of the subnet {subnet.id} is taken."
    raise CloudError("ADDRESSES_EXHAUSTED", message, subnet_id=subnet.id)


def _taken(connection: Connection, subnet: Subnet, low: int, high: int) -> Iterator[int]:
    """Read as far as the search goes."""
    last = addresses.packed(high, subnet.ip_version)
    most = _FEW
    while low <= high:
        first = addresses.packed(low, subnet.ip_version)
        chunk = _TAKEN.all(connection, subnet_id=subnet.id, low=first, high=last, most=most)
        for (data,) in chunk:
            low = int.from_bytes(data, "big") + 1
            yield low - 1
        if len(chunk) < most:
            return
        most = min(2 * most, _MANY)


def _insert(connection: Connection, subnet: Subnet, number: int, row: dict[str, Any]) -> bool:
    packed = addresses.packed(number, subnet.ip_version)
    values = {**row, "packed": packed, "ip_address": _text(subnet, number)}
    return rows.insert_unless_taken(connection, fixed_ips, values)


def _text(subnet: Subnet, number: int) -> str:
    return str(addresses.unpacked(addresses.packed(number, subnet.ip_version)))


def _subnet_for(network: Network, subnets: Sequence[Subnet], wish: FixedIp) -> Subnet:
    if wish.subnet_id:
        found = next((subnet for subnet in subnets if subnet.id == wish.subnet_id), None)
        if found is None:
            raise not_found("subnet", wish.subnet_id)
        return found
    if not wish.ip_address:
        raise invalid("fixed_ips", "name a subnet_id, an ip_address or both")
    for subnet in subnets:
        if addresses.ip_address(wish.ip_address) in ip_network(subnet.cidr):
            return subnet
    cidrs = ", ".join(subnet.cidr for subnet in subnets) or "none"
    message = f"{wish.ip_address} is in no subnet of the network {network.id} (it has {cidrs})."
    raise CloudError("ADDRESS_OUT_OF_RANGE", message, address=wish.ip_address, cidr=cidrs)
