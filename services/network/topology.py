"""The part of the cloud's network that some hosts need to know of, as values.

Networks that a router without a way out connects make one segment: such a router is on each host that has a
port of any of them, so that a guest's packet leaves its host on the network of its target. A router with a
way out is on its egress host alone and so connects nothing elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.network.model import FloatingIp, Network, Port, Router, SecurityGroup, Subnet


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A port as other hosts know it."""

    port_id: str
    host_id: str
    mac_address: str
    ip_addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """Where a host takes VXLAN packets; "" is nowhere."""

    id: str
    vtep_address: str


@dataclass(frozen=True)
class Topology:
    """Everything that the states of `host_ids` depend on, read in one snapshot at `revision`.

    `subnets`, `neighbours` by network; `ports` (whole, bound ones) by host; `floating_ips` by router, those
    that lead to `ports` by port in `leading_to`;
    `awaited` is whether an operation waits to hear what hosts have of it;
    `dhcp_addresses` by subnet; `members` are the addresses of groups that some rule names as remote.
    """

    revision: int
    awaited: bool = False
    networks: dict[str, Network] = field(default_factory=dict)
    subnets: dict[str, list[Subnet]] = field(default_factory=dict)
    dhcp_addresses: dict[str, str] = field(default_factory=dict)
    neighbours: dict[str, list[Neighbour]] = field(default_factory=dict)
    ports: dict[str, list[Port]] = field(default_factory=dict)
    routers: dict[str, Router] = field(default_factory=dict)
    floating_ips: dict[str, list[FloatingIp]] = field(default_factory=dict)
    leading_to: dict[str, list[FloatingIp]] = field(default_factory=dict)
    groups: dict[str, SecurityGroup] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    _hosts_of: dict[str, set[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def routers_on(self, network_id: str) -> list[Router]:
        """Routers with an interface in the network."""
        return [r for r in self.routers.values() if any(i.network_id == network_id for i in r.interfaces)]

    def networks_of(self, host_id: str) -> set[str]:
        """Networks that the host is to have: of its ports, of routers that go out on it, and all that
        routers without a way out connect with these.
        """
        have = {port.network_id for port in self.ports.get(host_id, ())}
        for router in self.routers.values():
            if router.gateway and router.host_id == host_id:
                have |= {router.gateway.network_id, *(i.network_id for i in router.interfaces)}
        return self.connected(have)

    def connected(self, network_ids: Iterable[str]) -> set[str]:
        """These networks, and those that routers without a way out connect with them, however far."""
        return connected(network_ids, self.routers.values())

    def hosts_of(self, network_id: str) -> set[str]:
        """Hosts that have the network: the inverse of `networks_of`."""
        if network_id not in self._hosts_of:
            self._hosts_of[network_id] = self._find_hosts(network_id)
        return self._hosts_of[network_id]

    def _find_hosts(self, network_id: str) -> set[str]:
        together = self.connected([network_id])
        found = {n.host_id for id in together for n in self.neighbours.get(id, ()) if n.host_id}
        for router in self.routers.values():
            if router.gateway and router.host_id and router.network_ids & together:
                found.add(router.host_id)
        return found


def connected(network_ids: Iterable[str], routers: Iterable[Router]) -> set[str]:
    """The closure of networks over the routers without a way out."""
    feet = [{i.network_id for i in router.interfaces} for router in routers if router.gateway is None]
    reached = set(network_ids)
    while more := set().union(*(each for each in feet if each & reached)) - reached:
        reached |= more
    return reached
