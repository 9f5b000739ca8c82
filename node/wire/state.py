"""What the network service wants of this host, in memory and in a file.

The file lets a host that restarts while the service is away wire its guests as they were.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError

from weft.network.v1 import host_state_pb2 as pb

_Named = TypeVar("_Named", pb.HostNetwork, pb.HostPort, pb.HostRouter, pb.HostSecurityGroup)


@dataclass(slots=True)
class State:
    """Networks, ports, routers and security groups by id. `known` is False until the first whole state;
    `covers` is up to which revision it has every change, where somebody wants to hear that it is wired.
    """

    networks: dict[str, pb.HostNetwork] = field(default_factory=dict)
    ports: dict[str, pb.HostPort] = field(default_factory=dict)
    routers: dict[str, pb.HostRouter] = field(default_factory=dict)
    groups: dict[str, pb.HostSecurityGroup] = field(default_factory=dict)
    revision: int = 0
    known: bool = False
    covers: int = 0

    def take(self, message: pb.HostState) -> None:
        """Take in a whole state, or the parts that changed."""
        parts = (
            (self.networks, message.networks, message.removed_network_ids),
            (self.ports, message.ports, message.removed_port_ids),
            (self.routers, message.routers, message.removed_router_ids),
            (self.groups, message.security_groups, message.removed_security_group_ids),
        )
        for have, changed, removed in parts:
            _merge(have, changed, removed, complete=message.complete)
        self.revision = message.revision
        self.covers = message.covers or (0 if message.complete else self.covers)
        self.known = self.known or message.complete

    def whole(self) -> pb.HostState:
        """As one message."""
        return pb.HostState(
            revision=self.revision,
            complete=True,
            networks=self.networks.values(),
            ports=self.ports.values(),
            routers=self.routers.values(),
            security_groups=self.groups.values(),
        )

    def copy(self) -> "State":
        """One that stays as it is while this one changes; messages are replaced, never altered."""
        return State(
            dict(self.networks),
            dict(self.ports),
            dict(self.routers),
            dict(self.groups),
            self.revision,
            self.known,
            self.covers,
        )


def _merge(
    have: dict[str, _Named], changed: Iterable[_Named], removed: Iterable[str], *, complete: bool
) -> None:
    if complete:
        have.clear()
    for name in removed:
        have.pop(name, None)
    have.update((item.id, item) for item in changed)


def save(state: State, path: Path) -> None:
    """Write atomically; a reader never sees a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_bytes(state.whole().SerializeToString())
    os.replace(draft, path)


def load(path: Path) -> State:
    """What was saved; nothing known where there is no file, or one that is not ours."""
    state = State()
    try:
        state.take(pb.HostState.FromString(path.read_bytes()))
    except (FileNotFoundError, DecodeError):
        return State()
    return state
