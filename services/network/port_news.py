"""What the event of a port is worth to hosts: nothing, the port alone, or a look at everything.

Most changes of ports touch one port and the member lists of its groups. Hosts are told these without reading
all that their state is made of; whatever might reach further is left to a whole look.
"""

from collections import OrderedDict
from dataclasses import dataclass

from mesh.watch import Event
from services.network import model
from weft.network.v1 import resources_pb2 as pb

# Ports whose last event is remembered. Of one that is not, every change is news.
_REMEMBERED = 8192
_NOT_WIRED = ("status", "revision", "updated_at")


@dataclass(frozen=True, slots=True)
class News:
    """A change of a port that is, or before its deletion was, on `host_id` ("" is nowhere).

    `groups` are those whose members may have changed by it. `far`: more than the port and its groups may.
    """

    port_id: str
    host_id: str
    groups: frozenset[str]
    far: bool = False

    def after(self, earlier: "News | None") -> "News":
        """Both in one, where an earlier one has not been read yet."""
        if earlier is None:
            return self
        return News(self.port_id, self.host_id, self.groups | earlier.groups, self.far or earlier.far)

    def is_near(self, host_id: str) -> bool:
        """Whether all that it changes for this host is the port itself and its groups."""
        return not self.far and self.host_id in ("", host_id)


@dataclass(frozen=True, slots=True)
class _Last:
    host_id: str
    members: tuple[str, ...]
    wired: bytes
    status: int


class PortNews:
    """Reads the events of ports, in their order."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, _Last] = OrderedDict()

    def forget(self) -> None:
        """Events may have been missed."""
        self._last.clear()

    def of(self, event: Event) -> News | None:
        """None when no host's state can have changed: its host has said how far it is, and that is all."""
        port = pb.Port.FromString(event.payload)
        before, now = self._last.pop(port.id, None), _last(port)
        if event.type == "DELETED":
            before = None
        else:
            self._remember(port.id, now)
        if before and before.wired == now.wired and before.status != now.status:
            return None
        groups = () if before and before.members == now.members else port.security_group_ids
        moved = event.type == "UPDATED" and (before is None or before.host_id not in ("", now.host_id))
        far = moved or port.device_owner.startswith(model.OWN)
        return News(port.id, port.host_id, frozenset(groups), far)

    def _remember(self, id: str, last: _Last) -> None:
        self._last[id] = last
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)


def _last(port: pb.Port) -> _Last:
    wired = pb.Port()
    wired.CopyFrom(port)
    for name in _NOT_WIRED:
        wired.ClearField(name)  # type: ignore[arg-type]
    members = (*(ip.ip_address for ip in port.fixed_ips), *port.security_group_ids)
    return _Last(port.host_id, members, wired.SerializeToString(deterministic=True), port.status)
