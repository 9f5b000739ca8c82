"""A host's state after changes of single ports, made of these and of what the host has been sent already."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from services.network import host_state
from services.network.model import Port, SecurityGroup
from services.network.port_news import News
from weft.network.v1 import host_state_pb2 as pb


@dataclass(frozen=True, slots=True)
class Place:
    """Where a port of a host belongs."""

    network_id: str
    groups: frozenset[str]


@dataclass(frozen=True)
class Few:
    """Some ports and groups in one snapshot at `revision`; what is not there any more is left out.

    `reached` are those of the ports that floating IPs lead to.
    """

    revision: int
    ports: Mapping[str, Port] = field(default_factory=dict)
    reached: frozenset[str] = frozenset()
    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Picture:
    """What one host's state is made of, as far as changes of single ports go."""

    def __init__(self, state: pb.HostState) -> None:
        self._ports = {
            port.id: Place(port.network_id, frozenset(port.security_group_ids)) for port in state.ports
        }
        self._named = {
            rule.remote_group_id
            for group in state.security_groups
            for rule in group.rules
            if rule.remote_group_id
        }

    def groups_to_read(self, news: Collection[News]) -> set[str]:
        """Groups of which the host knows the members, where these may have changed."""
        of_ports = {group for each in news for group in self._groups_before(each)}
        return self._named.intersection(of_ports.union(*(each.groups for each in news)))

    def after(self, news: Collection[News], few: Few, host_id: str) -> pb.HostState | None:
        """What to send; None where the changes reach further than ports that come and go beside others."""
        told = self.groups_to_read(news)
        here = {each.port_id: few.ports.get(each.port_id) for each in news}
        if any(port is not None and port.host_id not in ("", host_id) for port in here.values()):
            return None
        now = dict(self._ports)
        for id, port in here.items():
            now.pop(id, None)
            if port is not None and port.host_id == host_id:
                now[id] = Place(port.network_id, frozenset(port.security_group_ids))
        own = _groups(now)
        if _networks(now) != _networks(self._ports) or own != _groups(self._ports):
            return None
        if few.reached & now.keys():  # the host is to be woken by those floating IPs from now on
            return None
        gone = self._ports.keys() - now.keys()
        self._ports = now
        return pb.HostState(
            revision=few.revision,
            ports=[
                host_state.port_of(port, ()) for id, port in here.items() if port is not None and id in now
            ],
            removed_port_ids=sorted(gone),
            security_groups=[
                host_state.group_of(id, few.groups.get(id) if id in own else None, few.members.get(id, ()))
                for id in sorted(told)
            ],
        )

    def _groups_before(self, news: News) -> frozenset[str]:
        place = self._ports.get(news.port_id)
        return place.groups if place and news.groups else frozenset()


def _networks(ports: Mapping[str, Place]) -> set[str]:
    return {place.network_id for place in ports.values()}


def _groups(ports: Mapping[str, Place]) -> set[str]:
    return {group for place in ports.values() for group in place.groups}
