"""A small cloud on paper: networks, ports, routers and groups, and what each host is told of them."""

from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

from weft.network.v1 import host_state_pb2 as pb
from weft.network.v1 import resources_pb2 as res

_macs, _vnis = count(1), count(4001)
INGRESS, EGRESS = res.DIRECTION_INGRESS, res.DIRECTION_EGRESS
PROJECT = str(uuid4())


def mac() -> str:
    """A MAC that no other port has."""
    number = next(_macs)
    return f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}"


def rule(direction: int, protocol: str = "", ports: tuple[int, int] | None = None, **remote: str):
    """One IPv4 (or, with version=6, IPv6) rule; `cidr` or `group` is the other side."""
    found = res.SecurityGroupRule(
        id=str(uuid4()),
        direction=direction,
        ip_version=int(remote.get("version", "4")),
        protocol=protocol,
        remote_cidr=remote.get("cidr", ""),
        remote_group_id=remote.get("group", ""),
    )
    if ports:
        found.port_min, found.port_max = ports
    return found


ANYTHING = (
    rule(INGRESS),
    rule(EGRESS),
    rule(INGRESS, version="6"),
    rule(EGRESS, version="6"),
)


@dataclass
class Host:
    """A host as the network service knows it."""

    id: str
    vtep: str


@dataclass
class World:
    """Everything, by id; each change gets a new revision."""

    hosts: list[Host]
    networks: dict[str, pb.HostNetwork] = field(default_factory=dict)
    ports: dict[str, pb.HostPort] = field(default_factory=dict)
    places: dict[str, Host] = field(default_factory=dict)
    groups: dict[str, pb.HostSecurityGroup] = field(default_factory=dict)
    routers: dict[str, pb.HostRouter] = field(default_factory=dict)
    egress: dict[str, Host] = field(default_factory=dict)
    revision: int = 0

    def network(self, cidr: str, *, gateway: str = "", flat: str = "", dhcp: bool = True) -> pb.HostNetwork:
        """A network with one subnet; its DHCP server has the address .2 ."""
        base = cidr.rsplit(".", 1)[0]
        subnet = pb.HostSubnet(
            id=str(uuid4()), cidr=cidr, gateway_ip=gateway, dhcp_enabled=dhcp, dns_nameservers=["9.9.9.9"]
        )
        if dhcp:
            subnet.dhcp_address = f"{base}.2"
        found = pb.HostNetwork(
            id=str(uuid4()),
            type=res.NETWORK_TYPE_FLAT if flat else res.NETWORK_TYPE_VXLAN,
            segmentation_id=0 if flat else next(_vnis),
            physical_network=flat,
            mtu=1500 if flat else 1450,
            admin_state_up=True,
            subnets=[subnet],
        )
        self.networks[found.id] = found
        return found

    def group(self, *rules: res.SecurityGroupRule) -> pb.HostSecurityGroup:
        """A security group."""
        found = pb.HostSecurityGroup(id=str(uuid4()), rules=rules)
        self.groups[found.id] = found
        return found

    def port(self, network: pb.HostNetwork, host: Host, address: str, *groups, **extra) -> pb.HostPort:
        """A port on a host, which may do anything unless groups are named."""
        groups = groups or (self.group(*ANYTHING),)
        addresses = [address, *extra.pop("more", ())]
        found = pb.HostPort(
            id=str(uuid4()),
            network_id=network.id,
            server_id=str(uuid4()),
            project_id=PROJECT,
            mac_address=mac(),
            fixed_ips=[res.FixedIp(subnet_id=network.subnets[0].id, ip_address=item) for item in addresses],
            security_group_ids=[item.id for item in groups],
            port_security_enabled=extra.pop("secured", True),
            admin_state_up=True,
            revision=1,
            **extra,
        )
        self.ports[found.id], self.places[found.id] = found, host
        return found

    def router(self, *networks: pb.HostNetwork, **extra) -> pb.HostRouter:
        """A router at the gateway addresses of networks; on every host, unless it is given a way out."""
        interfaces = [
            pb.HostRouterInterface(
                port_id=str(uuid4()),
                network_id=item.id,
                mac_address=mac(),
                address=f"{item.subnets[0].gateway_ip}/24",
            )
            for item in networks
        ]
        found = pb.HostRouter(id=str(uuid4()), admin_state_up=True, interfaces=interfaces, **extra)
        self.routers[found.id] = found
        return found

    def way_out(self, router: pb.HostRouter, host: Host, external: pb.HostNetwork, address: str) -> None:
        """Let a router go out, on one host."""
        router.external.CopyFrom(
            pb.HostRouterInterface(
                port_id=str(uuid4()), network_id=external.id, mac_address=mac(), address=f"{address}/24"
            )
        )
        router.external_gateway_ip = external.subnets[0].gateway_ip
        router.snat_enabled = True
        self.egress[router.id] = host

    def state(self, host: Host) -> pb.HostState:
        """All that a host is told."""
        routers = [router for router in self.routers.values() if self._has_router(router, host)]
        ports = [port for id, port in self.ports.items() if self.places[id] is host]
        wanted = {port.network_id for port in ports}
        for router in routers:
            wanted |= {end.network_id for end in (*router.interfaces, router.external) if end.network_id}
        groups = [self._filled(group) for group in self.groups.values()]
        self.revision += 1
        return pb.HostState(
            revision=self.revision,
            complete=True,
            networks=[self._told(self.networks[id], host) for id in sorted(wanted)],
            ports=ports,
            routers=routers,
            security_groups=groups,
        )

    def _has_router(self, router: pb.HostRouter, host: Host) -> bool:
        if router.id in self.egress:
            return self.egress[router.id] is host
        return True

    def _filled(self, group: pb.HostSecurityGroup) -> pb.HostSecurityGroup:
        members = [
            fixed.ip_address
            for port in self.ports.values()
            if group.id in port.security_group_ids
            for fixed in port.fixed_ips
        ]
        return pb.HostSecurityGroup(id=group.id, rules=group.rules, member_addresses=members)

    def _told(self, network: pb.HostNetwork, host: Host) -> pb.HostNetwork:
        found = pb.HostNetwork()
        found.CopyFrom(network)
        found.vtep_addresses.extend(other.vtep for other in self.hosts if other is not host)
        for id, port in self.ports.items():
            if port.network_id == network.id and self.places[id] is not host:
                addresses = [fixed.ip_address for fixed in port.fixed_ips]
                self._remote(found, id, port.mac_address, addresses, self.places[id])
        for id, place in self.egress.items():
            for end in self.routers[id].interfaces:
                if end.network_id == network.id and place is not host:
                    address = end.address.split("/")[0]
                    self._remote(found, end.port_id, end.mac_address, [address], place)
        return found

    def _remote(self, network: pb.HostNetwork, id: str, mac: str, addresses: list[str], place: Host) -> None:
        network.remote_ports.add(port_id=id, mac_address=mac, ip_addresses=addresses, vtep_address=place.vtep)
