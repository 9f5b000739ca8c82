"""Draws the picture of what a host's network is to be. Pure: the same wishes give the same picture."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_interface, ip_network

from node.wire import filters, guard, metadata_space, names, routers
from node.wire.picture import Forward, Link, Neighbour, Picture, Space
from node.wire.ruleset import Ruleset
from node.wire.state import State
from weft.network.v1 import host_state_pb2 as pb
from weft.network.v1 import resources_pb2

EVERYONE = "00:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class Site:
    """What a plan must know of its host: id, where it takes VXLAN packets (empty: nowhere), bridges."""

    host_id: str
    vtep_address: str
    bridges: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """The picture, and what cannot be had: why, by port id."""

    picture: Picture
    faults: Mapping[str, str]


def bridge(network: pb.HostNetwork, site: Site) -> str | None:
    """The network's bridge; None when the host has none for it."""
    if network.type == resources_pb2.NETWORK_TYPE_FLAT:
        return site.bridges.get(network.physical_network)
    return names.bridge(network.id)


def bridges(state: State, site: Site) -> dict[str, str]:
    """Bridges by network id, of networks that the host can have."""
    found = ((network.id, bridge(network, site)) for network in state.networks.values())
    return {id: name for id, name in found if name}


def plan(state: State, site: Site, numbers: Mapping[str, int], zones: Mapping[str, int]) -> Plan:
    """What is to be, with the numbers of taps and the conntrack zones of bridges."""
    there = bridges(state, site)
    faults = {id: fault for id, port in state.ports.items() if (fault := _fault(port, state, there))}
    ports = [port for port in state.ports.values() if port.id not in faults]
    routed = [router for router in state.routers.values() if _routable(router, there)]
    draft = _Draft(state, site, there, ports, routed)
    links = {link.name: link for link in draft.links()}
    picture = Picture(
        links=links,
        forwards=frozenset(draft.forwards()),
        neighbours=frozenset(draft.neighbours()),
        rules=_rules(ports, state, numbers, zones, site),
        spaces={space.name: space for space in draft.spaces()},
    )
    return Plan(picture, faults)


def _fault(port: pb.HostPort, state: State, there: Mapping[str, str]) -> str:
    network = state.networks.get(port.network_id)
    if network is None:
        return f"the host was not told of network {port.network_id}"
    if port.network_id not in there:
        return f"this host has no physical network {network.physical_network!r}"
    try:
        for addresses in guard.senders(port).values():
            for address in addresses:
                ip_network(address, strict=False)
    except ValueError as error:
        return str(error)
    return ""


def _routable(router: pb.HostRouter, there: Mapping[str, str]) -> bool:
    return router.admin_state_up and all(end.network_id in there for end in routers.ends(router))


def _rules(
    ports: list[pb.HostPort], state: State, numbers: Mapping[str, int], zones: Mapping[str, int], site: Site
) -> Ruleset:
    inet = filters.table(ports, state.groups, numbers, zones, site.bridges.values())
    return {"bridge weft": guard.table(ports, numbers), "inet weft": inet}


@dataclass(frozen=True, slots=True)
class _Draft:
    state: State
    site: Site
    bridges: Mapping[str, str]
    ports: list[pb.HostPort]
    routers: list[pb.HostRouter]

    def links(self) -> Iterator[Link]:
        for network, name in self._networks():
            if network.type == resources_pb2.NETWORK_TYPE_FLAT:
                yield Link(name, "bridge", 0, filtered=True)
            else:
                yield Link(name, "bridge", network.mtu, mac=_bridge_mac(network.id), filtered=True)
                if self._tunnelled(network):
                    yield self._vxlan(network, name)
            if metadata_space.wanted(network):
                yield self._metadata_link(network, name)
        for port in self.ports:
            yield self._tap(port)
        for router in self.routers:
            yield from (self._router_link(router, end) for end in routers.ends(router))

    def _networks(self) -> Iterator[tuple[pb.HostNetwork, str]]:
        for id, name in self.bridges.items():
            yield self.state.networks[id], name

    def _tunnelled(self, network: pb.HostNetwork) -> bool:
        vxlan = network.type == resources_pb2.NETWORK_TYPE_VXLAN
        return vxlan and network.admin_state_up and bool(self.site.vtep_address)

    def _vxlan(self, network: pb.HostNetwork, master: str) -> Link:
        return Link(
            names.vxlan(network.id),
            "vxlan",
            network.mtu,
            master=master,
            suppress=True,
            vni=network.segmentation_id,
            local=self.site.vtep_address,
        )

    def _metadata_link(self, network: pb.HostNetwork, master: str) -> Link:
        return Link(
            names.metadata_link(network.id),
            "veth",
            network.mtu,
            master=master,
            space=names.metadata_space(network.id, self.site.host_id),
            peer=names.METADATA_INNER,
            peer_mac=metadata_space.mac(network.id),
        )

    def _tap(self, port: pb.HostPort) -> Link:
        network = self.state.networks[port.network_id]
        up = port.admin_state_up and network.admin_state_up
        fixed = up and port.port_security_enabled and not _foreign_macs(port)
        return Link(
            names.tap(port.id),
            "tap",
            network.mtu,
            up=up,
            master=self.bridges[port.network_id] if up else "",
            learning=up and not fixed,
            locked=fixed,
        )

    def _router_link(self, router: pb.HostRouter, end: pb.HostRouterInterface) -> Link:
        network = self.state.networks[end.network_id]
        return Link(
            names.router_link(end.port_id),
            "veth",
            network.mtu,
            master=self.bridges[end.network_id],
            suppress=network.type == resources_pb2.NETWORK_TYPE_VXLAN,
            space=names.router_space(router.id, self.site.host_id),
            peer=names.router_inner(end.port_id),
            peer_mac=end.mac_address,
        )

    def forwards(self) -> Iterator[Forward]:
        for network, _ in self._networks():
            if metadata_space.wanted(network):
                yield Forward(names.metadata_link(network.id), metadata_space.mac(network.id))
            if self._tunnelled(network):
                yield from self._tunnels(network)
        for port in self.ports:
            link = self._tap(port)
            if link.up:
                yield Forward(link.name, port.mac_address)
        for router in self.routers:
            yield from (
                Forward(names.router_link(end.port_id), end.mac_address) for end in routers.ends(router)
            )

    def _tunnels(self, network: pb.HostNetwork) -> Iterator[Forward]:
        link = names.vxlan(network.id)
        # A port that moves may be told of twice for a moment: what is here wins.
        here = {port.mac_address for port in self.ports if port.network_id == network.id}
        for vtep in network.vtep_addresses:
            if vtep != self.site.vtep_address:
                yield Forward(link, EVERYONE, vtep)
        for remote in network.remote_ports:
            if remote.vtep_address and remote.mac_address not in here:
                yield Forward(link, remote.mac_address)
                yield Forward(link, remote.mac_address, remote.vtep_address)

    def neighbours(self) -> Iterator[Neighbour]:
        """Who is elsewhere, and routers: the bridge answers for them, so that no question crosses hosts.

        Of IPv4 alone: on bridges of ours the host's own IPv6 is off, and its neighbours with it.
        """
        for network, name in self._networks():
            if self._tunnelled(network):
                for remote in network.remote_ports:
                    yield from _known(name, remote.ip_addresses, remote.mac_address)
        for router in self.routers:
            for end in routers.ends(router):
                if self._tunnelled(self.state.networks[end.network_id]):
                    address = str(ip_interface(end.address).ip)
                    yield from _known(self.bridges[end.network_id], [address], end.mac_address)

    def _residents(self, network: pb.HostNetwork) -> Iterator[tuple[str, str]]:
        """Who has which address on a network, here and elsewhere."""
        for remote in network.remote_ports:
            yield from ((address, remote.mac_address) for address in remote.ip_addresses)
        for port in self.ports:
            if port.network_id == network.id:
                yield from ((fixed.ip_address, port.mac_address) for fixed in port.fixed_ips)

    def spaces(self) -> Iterator[Space]:
        mtus = {network.id: network.mtu for network, _ in self._networks()}
        residents = {network.id: dict(self._residents(network)) for network, _ in self._networks()}
        for router in self.routers:
            yield routers.space(router, self.site.host_id, mtus, residents)
        for network, _ in self._networks():
            if metadata_space.wanted(network):
                ports = [port for port in self.ports if port.network_id == network.id]
                yield metadata_space.space(network, ports, self.site.host_id)


def _known(link: str, addresses: Iterable[str], mac: str) -> Iterator[Neighbour]:
    yield from (Neighbour(link, address, mac) for address in addresses if ":" not in address)


def _foreign_macs(port: pb.HostPort) -> bool:
    return any(pair.mac_address not in ("", port.mac_address) for pair in port.allowed_address_pairs)


def _bridge_mac(network_id: str) -> str:
    """Set once, so that no port's MAC becomes the bridge's: that would flush what it knows of others."""
    digest = sha256(b"bridge" + network_id.encode()).digest()
    return "0a:" + ":".join(f"{octet:02x}" for octet in digest[:5])
