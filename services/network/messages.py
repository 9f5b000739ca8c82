"""Values as the contract's messages. What only administrators see is left out for everybody else."""

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message

from mesh.clock import to_proto
from services.network import model
from services.network.security_groups import RuleSpec
from weft.network.v1 import (
    resources_pb2 as pb,
)
from weft.network.v1 import (
    security_group_service_pb2 as security_group_service,
)


def network(value: model.Network, *, full: bool) -> pb.Network:
    """`full` shows the segment."""
    return pb.Network(
        name=value.name,
        type=pb.NetworkType.Value(f"NETWORK_TYPE_{value.type}"),
        segmentation_id=(value.segmentation_id or 0) if full else 0,
        physical_network=(value.physical_network or "") if full else "",
        mtu=value.mtu,
        shared=value.shared,
        external=value.external,
        admin_state_up=value.admin_state_up,
        port_security_enabled=value.port_security_enabled,
        subnet_ids=value.subnet_ids,
        tags=value.tags,
        **_common(value),
    )


def subnet(value: model.Subnet, *, full: bool = True) -> pb.Subnet:
    """Nothing in it is for administrators alone."""
    return pb.Subnet(
        name=value.name,
        network_id=value.network_id,
        ip_version=value.ip_version,
        cidr=value.cidr,
        gateway_ip=value.gateway_ip,
        dhcp_enabled=value.dhcp_enabled,
        dns_nameservers=value.dns_nameservers,
        allocation_pools=[pb.AllocationPool(start=s, end=e) for s, e in value.allocation_pools],
        host_routes=routes(value.host_routes),
        tags=value.tags,
        **_common(value),
    )


def port(value: model.Port, *, full: bool) -> pb.Port:
    """`full` shows the host."""
    return pb.Port(
        name=value.name,
        network_id=value.network_id,
        mac_address=value.mac_address,
        fixed_ips=fixed_ips(value.fixed_ips),
        security_group_ids=value.security_group_ids,
        port_security_enabled=value.port_security_enabled,
        allowed_address_pairs=address_pairs(value.allowed_address_pairs),
        status=pb.PortStatus.Value(f"PORT_STATUS_{value.status}"),
        admin_state_up=value.admin_state_up,
        device_owner=value.device_owner,
        device_id=value.device_id,
        host_id=value.host_id if full else "",
        tags=value.tags,
        **_common(value),
    )


def router(value: model.Router, *, full: bool) -> pb.Router:
    """`full` shows the host that it goes out on."""
    return pb.Router(
        name=value.name,
        admin_state_up=value.admin_state_up,
        gateway=_gateway(value),
        interfaces=[
            pb.RouterInterface(port_id=i.port_id, subnet_id=i.subnet_id, ip_address=i.ip_address)
            for i in value.interfaces
        ],
        routes=routes(value.routes),
        host_id=value.host_id if full else "",
        operation_id=value.operation_id or "",
        tags=value.tags,
        **_common(value),
    )


def floating_ip(value: model.FloatingIp, *, full: bool = True) -> pb.FloatingIp:
    """ACTIVE where it leads to a port."""
    return pb.FloatingIp(
        network_id=value.network_id,
        address=value.address,
        port_id=value.port_id or "",
        fixed_ip=value.fixed_ip,
        router_id=value.router_id or "",
        status=pb.FLOATING_IP_STATUS_ACTIVE if value.port_id else pb.FLOATING_IP_STATUS_DOWN,
        operation_id=value.operation_id or "",
        tags=value.tags,
        **_common(value),
    )


def security_group(value: model.SecurityGroup, *, full: bool = True) -> pb.SecurityGroup:
    """With its rules."""
    rules = [rule(each) for each in value.rules]
    return pb.SecurityGroup(name=value.name, stateful=True, rules=rules, tags=value.tags, **_common(value))


def rule(value: model.Rule, *, full: bool = True) -> pb.SecurityGroupRule:
    """One rule."""
    return pb.SecurityGroupRule(
        security_group_id=value.security_group_id,
        direction=pb.Direction.Value(f"DIRECTION_{value.direction}"),
        ip_version=value.ip_version,
        protocol=value.protocol,
        port_min=value.port_min,
        port_max=value.port_max,
        remote_cidr=value.remote_cidr,
        remote_group_id=value.remote_group_id or "",
        **_common(value),
    )


_BY_TYPE = {
    model.Network: network,
    model.Subnet: subnet,
    model.Port: port,
    model.Router: router,
    model.FloatingIp: floating_ip,
    model.SecurityGroup: security_group,
    model.Rule: rule,
}


def of(value: model.Resource, *, full: bool) -> Message:
    """The message of any resource."""
    return _BY_TYPE[type(value)](value, full=full)  # type: ignore[operator]


def hide(message: Message) -> None:
    """Take out of a full message what only administrators see."""
    for field in ("segmentation_id", "physical_network", "host_id"):
        if field in message.DESCRIPTOR.fields_by_name:
            message.ClearField(field)


def routes(pairs: Iterable[Sequence[str]]) -> list[pb.HostRoute]:
    """Pairs of destination and next hop."""
    return [pb.HostRoute(destination=destination, next_hop=hop) for destination, hop in pairs]


def fixed_ips(values: Iterable[model.FixedIp]) -> list[pb.FixedIp]:
    """Addresses of a port."""
    return [pb.FixedIp(subnet_id=ip.subnet_id, ip_address=ip.ip_address) for ip in values]


def address_pairs(pairs: Iterable[Sequence[str]]) -> list[pb.AddressPair]:
    """Pairs of address and MAC."""
    return [pb.AddressPair(ip_address=ip, mac_address=mac) for ip, mac in pairs]


def route_pairs(values: Iterable[pb.HostRoute]) -> list[tuple[str, str]]:
    """The other way: what `routes` wrote."""
    return [(route.destination, route.next_hop) for route in values]


def wanted_ips(values: Iterable[pb.FixedIp]) -> list[model.FixedIp]:
    """The other way: what `fixed_ips` wrote."""
    return [model.FixedIp(ip.subnet_id, ip.ip_address) for ip in values]


def pool_pairs(values: Iterable[pb.AllocationPool]) -> list[tuple[str, str]]:
    """First and last address of each pool."""
    return [(pool.start, pool.end) for pool in values]


def rule_spec(request: security_group_service.CreateSecurityGroupRuleRequest) -> RuleSpec:
    """What the rule is to allow."""
    return RuleSpec(
        direction=pb.Direction.Name(request.direction).removeprefix("DIRECTION_"),
        ip_version=request.ip_version,
        protocol=request.protocol,
        port_min=request.port_min if request.HasField("port_min") else None,
        port_max=request.port_max if request.HasField("port_max") else None,
        remote_cidr=request.remote_cidr,
        remote_group_id=request.remote_group_id or None,
    )


def _gateway(value: model.Router) -> pb.ExternalGateway | None:
    if value.gateway is None:
        return None
    return pb.ExternalGateway(
        network_id=value.gateway.network_id,
        snat_enabled=value.snat_enabled,
        ip_address=value.gateway.ip_address,
        port_id=value.gateway.port_id,
        subnet_id=value.gateway.subnet_id,
    )


def _common(value: model.Resource) -> dict[str, Any]:
    return {
        "id": value.id,
        "project_id": value.project_id,
        "description": value.description,
        "created_at": to_proto(value.created_at),
        "updated_at": to_proto(value.updated_at),
        "revision": value.revision,
    }
