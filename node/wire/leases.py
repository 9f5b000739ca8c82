"""What DHCP gives a port, and how a server answers for it. Pure: a request in, an answer out."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address

from node.wire import dhcp_packet as dhcp
from node.wire import metadata_space
from node.wire.dhcp_packet import Option, Request
from weft.network.v1 import host_state_pb2 as pb

SECONDS = 86_400
_METADATA = IPv4Network(metadata_space.ADDRESS)
_ANYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Lease:
    """The address of a port and what goes with it; `server_mac` is what answers come from."""

    port_id: str
    mac: str
    address: IPv4Address
    network: IPv4Network
    server: IPv4Address
    server_mac: str
    router: IPv4Address | None
    name_servers: tuple[IPv4Address, ...]
    routes: tuple[tuple[IPv4Network, IPv4Address], ...]
    mtu: int


def lease(port: pb.HostPort, network: pb.HostNetwork) -> Lease | None:
    """The port's lease: its first IPv4 address in a subnet with DHCP; None when it has none."""
    subnets = {subnet.id: subnet for subnet in network.subnets if subnet.dhcp_enabled and subnet.dhcp_address}
    for fixed in port.fixed_ips:
        subnet = subnets.get(fixed.subnet_id)
        if subnet is not None and ip_address(fixed.ip_address).version == 4:
            return _lease(port, network, subnet, IPv4Address(fixed.ip_address))
    return None


def _lease(port: pb.HostPort, network: pb.HostNetwork, subnet: pb.HostSubnet, address: IPv4Address) -> Lease:
    server = IPv4Address(subnet.dhcp_address)
    router = IPv4Address(subnet.gateway_ip) if subnet.gateway_ip else None
    routes = [(_METADATA, server)]
    routes += [(IPv4Network(r.destination), IPv4Address(r.next_hop)) for r in subnet.host_routes]
    if router:  # a client that takes these routes ignores the router option (RFC 3442)
        routes.append((_ANYWHERE, router))
    return Lease(
        port_id=port.id,
        mac=port.mac_address,
        address=address,
        network=IPv4Network(subnet.cidr),
        server=server,
        server_mac=metadata_space.mac(network.id),
        router=router,
        name_servers=tuple(IPv4Address(text) for text in subnet.dns_nameservers if ":" not in text),
        routes=tuple(routes),
        mtu=network.mtu,
    )


def answer(request: Request, lease: Lease, hostname: str) -> bytes | None:
    """The frame to answer with; None when there is nothing to say."""
    if request.mac != lease.mac or request.relay != dhcp.NONE:
        return None
    if request.kind == dhcp.DISCOVER:
        return _give(request, lease, hostname, dhcp.OFFER)
    if request.kind == dhcp.INFORM:
        return _reply(request, lease, _facts(lease, hostname), dhcp.ACK, given=request.client_address)
    if request.kind == dhcp.REQUEST:
        return _answer_request(request, lease, hostname)
    return None


def _answer_request(request: Request, lease: Lease, hostname: str) -> bytes | None:
    chosen = request.address(Option.SERVER)
    if chosen not in (None, lease.server):
        return None  # it took another server's offer
    wanted = request.address(Option.REQUESTED) or request.client_address
    if wanted != lease.address:
        return _reply(request, lease, {}, dhcp.NAK, given=dhcp.NONE)
    return _give(request, lease, hostname, dhcp.ACK)


def _give(request: Request, lease: Lease, hostname: str, kind: int) -> bytes:
    times = {Option.LEASE: SECONDS, Option.RENEW: SECONDS // 2, Option.REBIND: SECONDS * 7 // 8}
    options = {code: struct.pack("!I", seconds) for code, seconds in times.items()}
    return _reply(request, lease, options | _facts(lease, hostname), kind, given=lease.address)


def _facts(lease: Lease, hostname: str) -> dict[int, bytes]:
    facts = {
        Option.MASK: lease.network.netmask.packed,
        Option.BROADCAST: lease.network.broadcast_address.packed,
        Option.MTU: struct.pack("!H", lease.mtu),
        Option.ROUTES: dhcp.routes(list(lease.routes)),
        Option.DNS: b"".join(server.packed for server in lease.name_servers),
        Option.ROUTER: lease.router.packed if lease.router else b"",
        Option.HOSTNAME: hostname.encode()[:255],
    }
    return {code: value for code, value in facts.items() if value}


def _reply(
    request: Request, lease: Lease, options: dict[int, bytes], kind: int, *, given: IPv4Address
) -> bytes:
    first = {Option.TYPE: bytes([kind]), Option.SERVER: lease.server.packed}
    return dhcp.reply(request, first | options, server=lease.server, server_mac=lease.server_mac, given=given)
