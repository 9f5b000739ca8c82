"""What a host says of its network as a whole: up to which change all is in its kernel, but what is not."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from node.wire import names, routers
from node.wire.state import State
from weft.network.v1 import host_state_pb2 as pb


@dataclass(frozen=True, slots=True)
class Confirmation:
    """All up to `revision` (0: nothing new) is there but what `trouble` names, why by id; "" is anything."""

    revision: int
    trouble: Mapping[str, str] = field(default_factory=dict)

    def message(self) -> Iterator[pb.HostTrouble]:
        """The trouble as the contract has it."""
        for id, why in self.trouble.items():
            yield pb.HostTrouble(resource_id=id, detail=why[:4096])


class Confirming:
    """Says it where it was asked for, and each time that it is another."""

    def __init__(self) -> None:
        self._said: Confirmation | None = None

    def repeat(self) -> None:
        """Who listens has forgotten, or is another one."""
        self._said = None

    def learn(self, asked: int, done: bool, trouble: Mapping[str, str]) -> Confirmation | None:
        """What to say when `asked` for a revision (0: never), which could be tried as a whole or not."""
        news = Confirmation(asked if done else 0, trouble)
        if not asked or news == self._said:
            return None
        self._said = news
        return news


def trouble(state: State, failed: Mapping[str, str], host_id: str) -> dict[str, str]:
    """Why, by ids of routers and networks, from what failed by names of links and namespaces.

    What is left of routers that are gone is told by "".
    """
    found: dict[str, str] = {}
    known: set[str] = set()
    for router in state.routers.values():
        own = {names.router_space(router.id, host_id)}
        own |= {names.router_link(end.port_id) for end in routers.ends(router)}
        known |= own
        if why := _first(failed, own):
            found[router.id] = why
    for id in state.networks:
        if why := _first(failed, (names.bridge(id), names.vxlan(id))):
            found[id] = why
    if why := _first(failed, filter(names.is_of_router, failed.keys() - known)):
        found[""] = why
    return found


def _first(failed: Mapping[str, str], names_: Iterable[str]) -> str:
    return next((failed[name] for name in sorted(names_) if name in failed), "")
