"""Changes of routers and floating IPs as the API makes them: each begins the work that brings it to hosts."""

from collections.abc import Callable, Iterable
from typing import Any

from mesh import outbox
from mesh.caller import Caller
from mesh.database import Connection
from mesh.flow import Flow, submit
from services.network.flows import on_hosts
from services.network.model import FloatingIp, Router
from services.network.store import reach, snapshots
from services.network.store.followed import follow


def router(
    connection: Connection,
    who: Caller,
    before: Router | None,
    change: Callable[[], Router],
    port_ids: Iterable[str] = (),
) -> Router:
    """The router after a change, with its operation. `port_ids`: ports that it may make the router's."""
    was = snapshots.of_router(connection, before, port_ids) if before else None
    concerned = reach.of_router(connection, before) if before else set()
    after = change()
    if before and _drawn(before) == _drawn(after):
        return follow(connection, after, "")
    concerned |= reach.of_router(connection, after)
    states = {"before": was, "after": snapshots.of_router(connection, after)}
    things = [after.id, *after.network_ids, *(before.network_ids if before else ())]
    id = _begin(connection, on_hosts.ROUTER_CHANGE, who, after, concerned, things, states)
    return follow(connection, after, id)


def router_deletion(connection: Connection, who: Caller, router: Router, delete: Callable[[], None]) -> None:
    """Delete a router, from hosts too."""
    concerned = reach.of_router(connection, router)
    delete()
    things = [router.id, *router.network_ids]
    _begin(connection, on_hosts.ROUTER_DELETE, who, router, concerned, things, {})


def floating_ip(
    connection: Connection, who: Caller, before: FloatingIp | None, change: Callable[[], FloatingIp]
) -> FloatingIp:
    """The floating IP after a change, with its operation."""
    concerned = reach.of_floating_ip(connection, before) if before else set()
    after = change()
    if before and _way(before) == _way(after):
        return follow(connection, after, "")
    concerned |= reach.of_floating_ip(connection, after)
    was = snapshots.of_floating_ip(before) if before else None
    states = {"before": was, "after": snapshots.of_floating_ip(after)}
    things = [after.network_id, *(each.router_id for each in (before, after) if each and each.router_id)]
    id = _begin(connection, on_hosts.FLOATING_IP_CHANGE, who, after, concerned, things, states)
    return follow(connection, after, id)


def floating_ip_deletion(
    connection: Connection, who: Caller, floating_ip: FloatingIp, delete: Callable[[], None]
) -> None:
    """Delete a floating IP, from hosts too."""
    concerned = reach.of_floating_ip(connection, floating_ip)
    delete()
    things = [floating_ip.network_id, *([floating_ip.router_id] if floating_ip.router_id else [])]
    _begin(connection, on_hosts.FLOATING_IP_DELETE, who, floating_ip, concerned, things, {})


def _begin(
    connection: Connection,
    flow: Flow,
    who: Caller,
    target: Router | FloatingIp,
    concerned: set[str],
    things: list[str],
    states: dict[str, Any],
) -> str:
    """The operation's id; "" for what concerns no host, which is done when it is committed."""
    if not concerned:
        return ""
    told = {"hosts": sorted(concerned), "things": sorted(set(things))}
    return submit(
        connection,
        flow,
        target_id=target.id,
        project_id=target.project_id,
        caller=who,
        input={**told, **states, "revision": outbox.latest(connection)},
    )


def _drawn(router: Router) -> tuple[object, ...]:
    """All of a router that hosts are told of."""
    ways = (router.gateway, router.snat_enabled, router.host_id, router.interfaces)
    return (router.admin_state_up, router.routes, *ways)


def _way(floating_ip: FloatingIp) -> tuple[object, ...]:
    """The same of a floating IP."""
    return floating_ip.port_id, floating_ip.fixed_ip, floating_ip.router_id
