"""The namespace of a network's DHCP and metadata address: one on every host, for that host's guests alone."""

from hashlib import sha256
from ipaddress import ip_network

from node.wire import names
from node.wire.picture import Interface, Neighbour, Space
from node.wire.ruleset import Chain, Hook, Table
from weft.network.v1 import host_state_pb2 as pb

ADDRESS, PORT = "169.254.169.254", 80
_RULES = {
    "inet weft": Table(
        {
            "input": Chain.of(
                f"ip daddr {ADDRESS} tcp dport {PORT} accept",
                "icmp type echo-request accept",
                "ct state established,related accept",
                "drop",
                hook=Hook("filter", "input", 0),
            )
        }
    )
}


def mac(network_id: str) -> str:
    """The server's MAC, locally administered, the same on every host so that guests may move."""
    return "0e:" + ":".join(f"{octet:02x}" for octet in sha256(network_id.encode()).digest()[:5])


def wanted(network: pb.HostNetwork) -> bool:
    """Whether the network has a DHCP address, and so a metadata server."""
    return any(subnet.dhcp_address for subnet in network.subnets)


def space(network: pb.HostNetwork, ports: list[pb.HostPort], host_id: str) -> Space:
    """The namespace. Answers go to the MACs of the plan: who takes another's address hears nothing."""
    served = [subnet for subnet in network.subnets if subnet.dhcp_address]
    lengths = {subnet.dhcp_address: ip_network(subnet.cidr).prefixlen for subnet in served}
    addresses = {f"{address}/{length}" for address, length in lengths.items()} | {f"{ADDRESS}/32"}
    inner = names.METADATA_INNER
    return Space(
        name=names.metadata_space(network.id, host_id),
        interfaces={inner: Interface(inner, mac(network.id), network.mtu, frozenset(addresses))},
        neighbours=frozenset(
            Neighbour(inner, fixed.ip_address, port.mac_address)
            for port in ports
            for fixed in port.fixed_ips
            if ":" not in fixed.ip_address
        ),
        rules=_RULES,
    )
