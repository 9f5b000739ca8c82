"""From one state of a host to the next: only what differs, found by the digest of each part."""

import hashlib
from collections.abc import Iterable

from google.protobuf.message import Message

from weft.network.v1.host_state_pb2 import HostState

# The lists of a HostState, and where the ids that leave each of them are named.
_PARTS = {
    "networks": "removed_network_ids",
    "ports": "removed_port_ids",
    "routers": "removed_router_ids",
    "security_groups": "removed_security_group_ids",
}
_DIGEST_BYTES = 16


class Sent:
    """What a host has been sent, as digests: some 50 bytes for each network, port, router and group."""

    def __init__(self) -> None:
        self._digests: dict[str, dict[str, bytes]] = {}

    def next(self, state: HostState) -> HostState | None:
        """What to send so that the host has `state`: all the first time, then the changes; None for none,
        where nobody waits to hear so.

        A state that is not complete says what changed of the one before, and is sent as far as it did.
        """
        if not state.complete:
            return self._next_few(state)
        first = not self._digests
        changes = HostState(revision=state.revision, complete=first, covers=state.covers)
        differs = first or bool(state.covers)
        for part, removed in _PARTS.items():
            before, after = self._digests.get(part, {}), _digests(getattr(state, part))
            new = [item for item in getattr(state, part) if before.get(item.id) != after[item.id]]
            gone = before.keys() - after.keys()
            getattr(changes, part).extend(new)
            getattr(changes, removed).extend(sorted(gone))
            self._digests[part] = after
            differs = differs or bool(new) or bool(gone)
        return changes if differs else None

    def _next_few(self, state: HostState) -> HostState | None:
        changes = HostState(revision=state.revision)
        for part, removed in _PARTS.items():
            sent = self._digests[part]
            gone = [id for id in getattr(state, removed) if sent.pop(id, None) is not None]
            after = _digests(getattr(state, part))
            getattr(changes, part).extend(i for i in getattr(state, part) if sent.get(i.id) != after[i.id])
            getattr(changes, removed).extend(gone)
            sent.update(after)
        return changes if changes.ByteSize() > HostState(revision=state.revision).ByteSize() else None


def _digests(items: Iterable[Message]) -> dict[str, bytes]:
    return {item.id: _digest(item) for item in items}  # type: ignore[attr-defined]


def _digest(item: Message) -> bytes:
    data = item.SerializeToString(deterministic=True)
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
