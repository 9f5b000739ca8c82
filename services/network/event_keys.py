"""Whose state an event may change: the ids that hosts depend on, and hosts that it names."""

from dataclasses import dataclass

from mesh.watch import Event
from services.network.store.events import TOUCHED
from weft.network.v1 import resources_pb2 as pb


@dataclass(frozen=True, slots=True)
class Keys:
    """`ids` that hosts may depend on; `hosts` that may come to have the thing now."""

    ids: frozenset[str]
    hosts: frozenset[str] = frozenset()


def of(event: Event) -> Keys:
    """The keys of one event."""
    if event.resource_type == "port":
        port = pb.Port.FromString(event.payload)
        ids = {port.network_id, *port.security_group_ids}
        return _keys(ids, port.host_id)
    if event.resource_type == "router":
        router = pb.Router.FromString(event.payload)
        return _keys({router.id, router.gateway.network_id}, router.host_id)
    if event.resource_type == "floating_ip":
        floating_ip = pb.FloatingIp.FromString(event.payload)
        return _keys({floating_ip.id, floating_ip.router_id})
    if event.resource_type == "subnet":
        return _keys({pb.Subnet.FromString(event.payload).network_id})
    return _keys({event.resource_id} if event.resource_type in ("network", "security_group", TOUCHED) else ())


def _keys(ids: set[str] | tuple[()], host_id: str = "") -> Keys:
    return Keys(frozenset(ids) - {""}, frozenset({host_id}) - {""})
