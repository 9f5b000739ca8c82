"""Addresses: the search by properties, and many who take them at once on both databases."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import CloudError
from services.network import addresses, gaps
from tests.services.network.conftest import Api, Cloud, refused
from weft.network.v1 import resources_pb2 as pb

_NUMBERS = st.integers(0, 60)


@st.composite
def ranges(draw: st.DrawFn) -> list[gaps.Range]:
    """Ranges that do not touch, in their order."""
    edges = sorted(draw(st.sets(_NUMBERS, max_size=10)))
    return list(zip(edges[::2], edges[1::2], strict=False))


@given(ranges(), _NUMBERS, st.sets(_NUMBERS))
def test_a_number_is_found_exactly_when_one_is_free(where: list[gaps.Range], start: int, taken: set[int]):
    def among(low: int, high: int) -> list[int]:
        return sorted(number for number in taken if low <= number <= high)

    free = {n for low, high in where for n in range(low, high + 1)} - taken
    found = gaps.first_free(where, start, among)
    if not free:
        assert found is None
    else:
        later = [number for number in free if number >= start]
        assert found == min(later or free)


@given(ranges().filter(bool))
def test_a_search_begins_within_the_ranges(where: list[gaps.Range]):
    start = gaps.somewhere(where)
    assert any(low <= start <= high for low, high in where)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_packed_addresses_sort_as_numbers_do(one: int, other: int):
    first, second = addresses.packed(one, 4), addresses.packed(other, 4)
    assert (first < second) == (one < other)
    assert int(addresses.unpacked(first)) == one


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_default_pools_and_the_gateway_are_all_that_a_cidr_has(length: int, number: int):
    try:
        base = addresses.ip_network((number, length), strict=False)
        cidr = addresses.parse_cidr(str(base))
    except CloudError:
        return
    gateway = addresses.choose_gateway(cidr, "", none=False)
    pools = addresses.choose_pools(cidr, [], gateway)
    assert gaps.size(addresses.ranges(pools)) + 1 == cidr.num_addresses - 2
    assert all(addresses.within(cidr, address) for pool in pools for address in pool)


async def test_fifty_ports_at_once_never_share_an_address(weft_on_both: Cloud):
    mine = weft_on_both.project()
    network, _ = await mine.network_with_subnet("10.0.0.0/26", name="full")
    answers = await asyncio.gather(
        *(mine.CreatePort(network_id=network.id) for _ in range(64)), return_exceptions=True
    )
    made = [answer for answer in answers if isinstance(answer, pb.Port)]
    # 62 addresses, less the gateway's and that of DHCP: exactly these, and each once.
    given = Counter(port.fixed_ips[0].ip_address for port in made)
    assert len(made) == 60
    assert set(given.values()) == {1}
    assert {answer.reason for answer in answers if isinstance(answer, CloudError)} == {"ADDRESSES_EXHAUSTED"}
    assert len({port.mac_address for port in made}) == 60


async def test_of_many_who_ask_for_one_address_or_mac_one_gets_it(weft_on_both: Cloud):
    mine = weft_on_both.project()
    network, _ = await mine.network_with_subnet()
    dhcp = (await mine.ListPorts(device_owner="network:dhcp")).ports[0].fixed_ips[0].ip_address
    wanted = "10.0.0.200" if dhcp != "10.0.0.200" else "10.0.0.201"
    wish = [pb.FixedIp(ip_address=wanted)]
    one_address = [mine.CreatePort(network_id=network.id, fixed_ips=wish) for _ in range(10)]
    assert await _reasons(one_address) == ["", *["ADDRESS_IN_USE"] * 9]
    one_mac = [mine.CreatePort(network_id=network.id, mac_address="02:00:00:00:00:01") for _ in range(10)]
    assert await _reasons(one_mac) == ["", *["ALREADY_EXISTS"] * 9]


async def _reasons(calls: list[Awaitable[Any]]) -> list[str]:
    """Why each was refused, sorted; "" for those that were not."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return sorted("" if isinstance(answer, pb.Port) else answer.reason for answer in answers)


async def test_a_port_has_one_address_of_each_version_or_those_it_asks_for(mine: Api):
    network, four = await mine.network_with_subnet()
    six = await mine.CreateSubnet(network_id=network.id, cidr="fd00::/64")
    both = await mine.CreatePort(network_id=network.id)
    assert [ip.subnet_id for ip in both.fixed_ips] == [four.id, six.id]
    asked = await mine.CreatePort(
        network_id=network.id,
        fixed_ips=[pb.FixedIp(ip_address="FD00:0::0:77"), pb.FixedIp(subnet_id=four.id)],
    )
    assert asked.fixed_ips[0] == pb.FixedIp(subnet_id=six.id, ip_address="fd00::77")
    assert asked.fixed_ips[1].ip_address.startswith("10.0.0.")


async def test_addresses_that_cannot_be_are_refused_and_leave_no_port(mine: Api):
    network, _ = await mine.network_with_subnet()
    for ip, reason in (
        ({"ip_address": "10.0.1.5"}, "ADDRESS_OUT_OF_RANGE"),
        ({"ip_address": "10.0.0.0"}, "ADDRESS_OUT_OF_RANGE"),
        ({"ip_address": "10.0.0.255"}, "ADDRESS_OUT_OF_RANGE"),
        ({"ip_address": "10.0.0.5; drop"}, "INVALID_ARGUMENT"),
        ({}, "INVALID_ARGUMENT"),
        ({"subnet_id": "00000000-0000-4000-8000-000000000000"}, "NOT_FOUND"),
    ):
        await refused(mine.CreatePort(network_id=network.id, fixed_ips=[pb.FixedIp(**ip)]), reason)
    left = (await mine.ListPorts(network_id=network.id)).ports
    assert [port.device_owner for port in left] == ["network:dhcp"]


async def test_a_subnet_of_another_network_gives_no_address(mine: Api):
    network, _ = await mine.network_with_subnet()
    _, elsewhere = await mine.network_with_subnet("10.5.0.0/24")
    wish = [pb.FixedIp(subnet_id=elsewhere.id)]
    await refused(mine.CreatePort(network_id=network.id, fixed_ips=wish), "NOT_FOUND")
