"""A router as a namespace: interfaces, routes, source translation and floating IPs.

Without a way out a router is on every host that has ports behind it, all copies with the same MACs; with
one it is only where it goes out. What to send, the plan of the network service decides: this draws it.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_interface

from node.wire import names
from node.wire.picture import Interface, Neighbour, Route, Space
from node.wire.ruleset import Chain, Elements, Hook, Ruleset, Table
from weft.network.v1 import host_state_pb2 as pb


def space(
    router: pb.HostRouter, host_id: str, mtus: Mapping[str, int], residents: Mapping[str, Mapping[str, str]]
) -> Space:
    """The router's namespace; by network id its MTU, and who lives there: MACs by address."""
    interfaces = [_interface(item, mtus) for item in router.interfaces]
    if router.HasField("external"):
        floating = [f"{item.address}/32" for item in router.floating_ips]
        interfaces.append(_interface(router.external, mtus, floating))
    return Space(
        name=names.router_space(router.id, host_id),
        interfaces={item.name: item for item in interfaces},
        routes=frozenset(_routes(router)),
        neighbours=frozenset(_neighbours(router, residents)),
        rules=_translation(router),
        forwarding=True,
    )


def ends(router: pb.HostRouter) -> Iterator[pb.HostRouterInterface]:
    """All interfaces of a router, the outer one last."""
    yield from router.interfaces
    if router.HasField("external"):
        yield router.external


def _interface(
    item: pb.HostRouterInterface, mtus: Mapping[str, int], floating: list[str] | None = None
) -> Interface:
    return Interface(
        name=names.router_inner(item.port_id),
        mac=item.mac_address,
        mtu=mtus[item.network_id],
        addresses=frozenset((str(ip_interface(item.address)), *(floating or ()))),
        announce=floating is not None,
    )


def _neighbours(router: pb.HostRouter, residents: Mapping[str, Mapping[str, str]]) -> Iterator[Neighbour]:
    """Guests need not be asked for. On another host they could not be: its own copy would get the answer."""
    for end in router.interfaces:
        own, link = str(ip_interface(end.address).ip), names.router_inner(end.port_id)
        for address, mac in residents.get(end.network_id, {}).items():
            if address != own:
                yield Neighbour(link, address, mac)


def _routes(router: pb.HostRouter) -> Iterator[Route]:
    if router.external_gateway_ip and router.HasField("external"):
        default = "::/0" if ":" in router.external_gateway_ip else "0.0.0.0/0"
        yield Route(default, router.external_gateway_ip)
    for route in router.routes:
        yield Route(route.destination, route.next_hop)


def _translation(router: pb.HostRouter) -> Ruleset:
    own = ip_interface(router.external.address) if router.HasField("external") else None
    if own is None or own.version != 4:
        return {}
    outside = names.router_inner(router.external.port_id)
    inward = frozenset(f"{item.address} : {item.fixed_ip}" for item in router.floating_ips)
    outward = frozenset(f"{item.fixed_ip} : {item.address}" for item in router.floating_ips)
    sets = {
        "inward": Elements(inward, is_map=True, spec="type ipv4_addr : ipv4_addr;"),
        "outward": Elements(outward, is_map=True, spec="type ipv4_addr : ipv4_addr;"),
    }
    chains = {
        "prerouting": Chain.of("dnat to ip daddr map @inward", hook=Hook("nat", "prerouting", -100)),
        "postrouting": Chain.of(
            *_sources(outside, str(own.ip), router.snat_enabled),
            hook=Hook("nat", "postrouting", 100),
        ),
        "forward": Chain.of(*_forward(outside, router.snat_enabled), hook=Hook("filter", "forward", 0)),
    }
    return {"ip weft": Table(chains, sets)}


def _sources(outside: str, own: str, snat: bool) -> Iterator[str]:
    yield f'oifname "{outside}" snat to ip saddr map @outward'
    # From one guest to another's floating IP: answers must come back through the router.
    yield f'iifname != "{outside}" ct status dnat snat to ip saddr map @outward'
    yield f'iifname != "{outside}" ct status dnat snat to {own}'
    if snat:
        yield f'oifname "{outside}" iifname != "{outside}" snat to {own}'


def _forward(outside: str, snat: bool) -> Iterator[str]:
    yield "ct state established,related accept"
    if snat:
        # Translated networks are private: from outside only by a floating IP.
        yield f'iifname "{outside}" ct status & dnat == 0 drop'
