"""What was allowed before and is not now: the only changes for which connections must be looked through."""

from node.wire.state import State
from weft.network.v1 import host_state_pb2 as pb


def ports(before: State, after: State) -> set[str]:
    """Ports that are still there and whose connections may have become forbidden."""
    narrowed = _groups(before, after)
    narrowed |= {id for id, group in after.groups.items() if _remotes(group) & narrowed}
    return {
        id
        for id, port in after.ports.items()
        if id in before.ports and _narrowed(before.ports[id], port, narrowed)
    }


def removed_ports(before: State, after: State) -> dict[str, list[str]]:
    """Addresses that ports no longer have, by network."""
    gone: dict[str, list[str]] = {}
    for id, port in before.ports.items():
        kept = _addresses(after.ports[id]) if id in after.ports else set()
        if left := _addresses(port) - kept:
            gone.setdefault(port.network_id, []).extend(left)
    return gone


def removed_floating_ips(before: State, after: State) -> dict[str, list[str]]:
    """Outer addresses that lead nowhere now, or elsewhere, by router."""
    gone = {}
    for id, router in before.routers.items():
        if id in after.routers and (left := _floating(router) - _floating(after.routers[id])):
            gone[id] = [outer for outer, _ in left]
    return gone


def _narrowed(before: pb.HostPort, after: pb.HostPort, groups: set[str]) -> bool:
    secured = after.port_security_enabled and not before.port_security_enabled
    kept = set(after.security_group_ids)
    return secured or bool(set(before.security_group_ids) - kept) or bool(kept & groups)


def _groups(before: State, after: State) -> set[str]:
    return {
        id
        for id, group in before.groups.items()
        if id not in after.groups
        or _rules(group) - _rules(after.groups[id])
        or set(group.member_addresses) - set(after.groups[id].member_addresses)
    }


def _rules(group: pb.HostSecurityGroup) -> set[bytes]:
    return {rule.SerializeToString(deterministic=True) for rule in group.rules}


def _remotes(group: pb.HostSecurityGroup) -> set[str]:
    return {rule.remote_group_id for rule in group.rules if rule.remote_group_id}


def _addresses(port: pb.HostPort) -> set[str]:
    return {fixed.ip_address for fixed in port.fixed_ips}


def _floating(router: pb.HostRouter) -> set[tuple[str, str]]:
    return {(item.address, item.fixed_ip) for item in router.floating_ips}
