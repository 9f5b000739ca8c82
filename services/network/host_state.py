"""What one host's network is to be: a pure function of the rows.

A router with a way out is sent to its egress host alone; elsewhere its interfaces are ports over there. A
router without one is sent to every host that has any of its networks.
"""

from collections.abc import Iterator, Sequence

from services.network import messages
from services.network.model import FloatingIp, Interface, Network, Port, Router, SecurityGroup, Subnet
from services.network.topology import Topology
from weft.network.v1 import host_state_pb2 as pb
from weft.network.v1 import resources_pb2


def of(topology: Topology, host_id: str, asked: bool = False) -> pb.HostState:
    """The whole state of a host, which is `asked` to confirm it where an operation waits for that."""
    networks = sorted(topology.networks_of(host_id))
    ports = topology.ports.get(host_id, [])
    return pb.HostState(
        revision=topology.revision,
        complete=True,
        covers=topology.revision if asked and topology.awaited else 0,
        networks=[_network(topology, topology.networks[id], host_id) for id in networks],
        ports=[port_of(port, topology.leading_to.get(port.id, ())) for port in ports],
        routers=[_router(topology, router) for router in _routers(topology, host_id, set(networks))],
        security_groups=list(_groups(topology, ports)),
    )


def depends(topology: Topology, host_id: str) -> set[str]:
    """Ids of all that the host's state was made of: when one of them changes, it may have changed."""
    networks = topology.networks_of(host_id)
    found = set(networks)
    for router in topology.routers.values():
        feet = {i.network_id for i in router.interfaces}
        if feet & networks or (router.host_id == host_id and router.gateway):
            found.add(router.id)
            if router.host_id == host_id:
                found |= {floating_ip.id for floating_ip in topology.floating_ips.get(router.id, ())}
    for port in topology.ports.get(host_id, ()):
        found |= {floating_ip.id for floating_ip in topology.leading_to.get(port.id, ())}
        for group_id in port.security_group_ids:
            found |= {group_id, *_remote_groups(topology, group_id)}
    return found


def _network(topology: Topology, network: Network, host_id: str) -> pb.HostNetwork:
    carried = network.type == "VXLAN"
    others = sorted(topology.hosts_of(network.id) - {host_id}) if carried else []
    vteps = [topology.hosts[id].vtep_address for id in others if id in topology.hosts]
    return pb.HostNetwork(
        id=network.id,
        type=resources_pb2.NetworkType.Value(f"NETWORK_TYPE_{network.type}"),
        segmentation_id=network.segmentation_id or 0,
        physical_network=network.physical_network or "",
        mtu=network.mtu,
        admin_state_up=network.admin_state_up,
        subnets=[_subnet(topology, subnet) for subnet in topology.subnets.get(network.id, ())],
        remote_ports=_remote_ports(topology, network.id, host_id) if carried else (),
        vtep_addresses=sorted({vtep for vtep in vteps if vtep}),
    )


def _subnet(topology: Topology, subnet: Subnet) -> pb.HostSubnet:
    return pb.HostSubnet(
        id=subnet.id,
        cidr=subnet.cidr,
        gateway_ip=subnet.gateway_ip,
        dhcp_enabled=subnet.dhcp_enabled,
        dhcp_address=topology.dhcp_addresses.get(subnet.id, ""),
        dns_nameservers=subnet.dns_nameservers,
        host_routes=messages.routes(subnet.host_routes),
    )


def _remote_ports(topology: Topology, network_id: str, host_id: str) -> Iterator[pb.RemotePort]:
    for port in topology.neighbours.get(network_id, ()):
        if port.host_id != host_id:
            yield from _remote(topology, port.host_id, port.port_id, port.mac_address, port.ip_addresses)
    for router in topology.routers.values():
        if router.gateway and router.host_id != host_id:
            for foot in (*router.interfaces, router.gateway):
                if foot.network_id == network_id:
                    yield from _remote(
                        topology, router.host_id, foot.port_id, foot.mac_address, (foot.ip_address,)
                    )


def _remote(
    topology: Topology, host_id: str, port_id: str, mac: str, addresses: tuple[str, ...]
) -> Iterator[pb.RemotePort]:
    """Nothing while it is nowhere, or where no VXLAN packet gets."""
    host = topology.hosts.get(host_id)
    if host and host.vtep_address:
        yield pb.RemotePort(
            port_id=port_id, mac_address=mac, ip_addresses=addresses, vtep_address=host.vtep_address
        )


def port_of(port: Port, leading_to: Sequence[FloatingIp]) -> pb.HostPort:
    """A port as its host needs it, with the floating IPs that lead there."""
    order = {ip.ip_address: number for number, ip in enumerate(port.fixed_ips)}
    told = sorted((ip for ip in leading_to if ip.fixed_ip in order), key=lambda ip: order[ip.fixed_ip])
    return pb.HostPort(
        id=port.id,
        network_id=port.network_id,
        server_id=port.device_id,
        project_id=port.project_id,
        mac_address=port.mac_address,
        fixed_ips=messages.fixed_ips(port.fixed_ips),
        security_group_ids=port.security_group_ids,
        port_security_enabled=port.port_security_enabled,
        allowed_address_pairs=messages.address_pairs(port.allowed_address_pairs),
        admin_state_up=port.admin_state_up,
        revision=port.wire_revision,
        floating_ips=[ip.address for ip in told],
    )


def _routers(topology: Topology, host_id: str, networks: set[str]) -> list[Router]:
    def is_here(router: Router) -> bool:
        if router.gateway:
            return router.host_id == host_id
        return any(interface.network_id in networks for interface in router.interfaces)

    return sorted(filter(is_here, topology.routers.values()), key=lambda router: router.id)


def _router(topology: Topology, router: Router) -> pb.HostRouter:
    state = pb.HostRouter(
        id=router.id,
        admin_state_up=router.admin_state_up,
        interfaces=[_interface(foot) for foot in router.interfaces],
        snat_enabled=router.snat_enabled,
        routes=messages.routes(router.routes),
    )
    if router.gateway:
        outside = topology.subnets.get(router.gateway.network_id, ())
        state.external.CopyFrom(_interface(router.gateway))
        state.external_gateway_ip = next(
            (subnet.gateway_ip for subnet in outside if subnet.id == router.gateway.subnet_id), ""
        )
        state.floating_ips.extend(
            pb.HostFloatingIp(id=ip.id, address=ip.address, fixed_ip=ip.fixed_ip, port_id=ip.port_id or "")
            for ip in topology.floating_ips.get(router.id, ())
        )
    return state


def _interface(foot: Interface) -> pb.HostRouterInterface:
    return pb.HostRouterInterface(
        port_id=foot.port_id,
        network_id=foot.network_id,
        mac_address=foot.mac_address,
        address=foot.address,
    )


def _remote_groups(topology: Topology, group_id: str) -> set[str]:
    group = topology.groups.get(group_id)
    return {rule.remote_group_id for rule in group.rules if rule.remote_group_id} if group else set()


def _groups(topology: Topology, ports: list[Port]) -> Iterator[pb.HostSecurityGroup]:
    """Groups of the host's ports with their rules, and those that these name as remote, for their members.

    Members are listed only of groups that some rule names: nobody else asks for them.
    """
    own = {group_id for port in ports for group_id in port.security_group_ids}
    named = {remote for group_id in own for remote in _remote_groups(topology, group_id)}
    for group_id in sorted(own | named):
        group = topology.groups.get(group_id) if group_id in own else None
        yield group_of(group_id, group, topology.members.get(group_id, ()) if group_id in named else ())


def group_of(id: str, group: SecurityGroup | None, members: Sequence[str]) -> pb.HostSecurityGroup:
    """A group as a host needs it: without rules (None) where only others' rules name it."""
    rules = [messages.rule(rule) for rule in group.rules] if group else ()
    return pb.HostSecurityGroup(id=id, rules=rules, member_addresses=members)
