"""Rules of security groups: written one way, so that equal rules are equal texts; refused when unsound."""

from dataclasses import dataclass
from ipaddress import ip_network

from mesh.errors import invalid

_BY_NUMBER = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "132": "sctp"}
_WITH_PORTS = frozenset({"tcp", "udp", "sctp"})
_ICMP = {4: "icmp", 6: "icmpv6"}


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """What a rule allows. Empty or None means any."""

    direction: str
    ip_version: int = 0
    protocol: str = ""
    port_min: int | None = None
    port_max: int | None = None
    remote_cidr: str = ""
    remote_group_id: str | None = None

    @property
    def signature(self) -> str:
        """Equal for rules that allow the same."""
        parts = (self.direction, self.ip_version, self.protocol, self.port_min, self.port_max)
        return "|".join("" if part is None else str(part) for part in (*parts, self.remote_cidr)) + (
            f"|{self.remote_group_id or ''}"
        )


def normalize(spec: RuleSpec) -> RuleSpec:
    """The rule with its IP version, protocol and CIDR in their one form. INVALID_ARGUMENT when unsound."""
    if spec.remote_cidr and spec.remote_group_id:
        raise invalid("remote_group_id", "give a remote_cidr or a remote_group_id, not both")
    version, cidr = _addresses(spec)
    protocol = _protocol(spec.protocol, version)
    _check_ports(spec, protocol)
    return RuleSpec(
        spec.direction, version, protocol, spec.port_min, spec.port_max, cidr, spec.remote_group_id or None
    )


def initial(*, group_id: str | None = None) -> list[RuleSpec]:
    """The rules that a group begins with: everything out; with `group_id`, also in from that group."""
    rules = [RuleSpec("EGRESS", version) for version in (4, 6)]
    if group_id:
        rules += [RuleSpec("INGRESS", version, remote_group_id=group_id) for version in (4, 6)]
    return rules


def _addresses(spec: RuleSpec) -> tuple[int, str]:
    if not spec.remote_cidr:
        return spec.ip_version or (6 if spec.protocol in ("icmpv6", "58") else 4), ""
    network = ip_network(spec.remote_cidr, strict=False)
    if spec.ip_version not in (0, network.version):
        raise invalid("remote_cidr", f"{network} is not of IP version {spec.ip_version}")
    return network.version, str(network)


def _protocol(text: str, version: int) -> str:
    if text.isdigit():
        if int(text) > 255:
            raise invalid("protocol", "a protocol's number is at most 255")
        text = _BY_NUMBER.get(str(int(text)), str(int(text)))
    if text == "icmp":
        return _ICMP[version]  # as OpenStack's users write it, whatever the version
    if text == "icmpv6" and version == 4:
        raise invalid("protocol", "icmpv6 goes with ip_version 6")
    return text


def _check_ports(spec: RuleSpec, protocol: str) -> None:
    low, high = spec.port_min, spec.port_max
    if low is None and high is None:
        return
    if protocol in _ICMP.values():
        if low is None:
            raise invalid("port_min", "an ICMP code needs its type")
        if max(low, high or 0) > 255:
            raise invalid("port_min", "ICMP types and codes are at most 255")
        return
    if protocol not in _WITH_PORTS:
        raise invalid("protocol", "ports need the protocol tcp, udp or sctp")
    if low is None or high is None:
        raise invalid("port_min", "give port_min and port_max together")
    if low > high:
        raise invalid("port_min", f"{low} is beyond port_max {high}")
