"""Who is calling: known from a token or from the peer's certificate, and carried with the work it causes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import Enum

import msgspec

METADATA_KEY = "weft-caller-bin"


class Kind(Enum):
    """What stands behind a call."""

    ANONYMOUS = "anonymous"
    USER = "user"
    SERVICE = "service"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, and for whom.

    `scope` is "none", "project", "domain" or "system". `service` is set when kind is SERVICE; the user,
    project and roles are then those of the one it acts for, and empty when it acts for nobody. `host_id` is
    set when kind is NODE. `token_id` is the token's jti (a host's: the id of its join), `expires_at` its end
    in seconds since the epoch; `rests_on` are ids of the delegations that it came about by, and of the
    tokens that it was exchanged for: it ends with any of them. `vouched_by` are the other users, with their
    domains, whose rights it rests on. `rules` are the RPCs that it is good for, None for no such bounds: see
    mesh.access_rules.
    """

    kind: Kind = Kind.ANONYMOUS
    user_id: str = ""
    user_name: str = ""
    project_id: str = ""
    domain_id: str = ""
    user_domain_id: str = ""
    scope: str = "none"
    roles: frozenset[str] = frozenset()
    service: str = ""
    host_id: str = ""
    token_id: str = ""
    expires_at: int = 0
    rests_on: tuple[str, ...] = ()
    delegation_id: str = ""
    vouched_by: tuple[str, ...] = ()
    rules: frozenset[str] | None = None

    @property
    def for_nobody(self) -> bool:
        """Whether a service or node calls on its own account."""
        return not self.user_id and not self.project_id

    @property
    def reach(self) -> str | None:
        """The project whose resources it may touch; None is every project, "" is none."""
        if self.kind is Kind.ANONYMOUS:
            return ""
        if self.kind is Kind.NODE or (self.kind is Kind.SERVICE and self.for_nobody):
            return None
        return None if self.scope == "system" else self.project_id if self.scope == "project" else ""

    @property
    def delegations(self) -> tuple[str, ...]:
        """Ids of all that its rights were handed on by, from the first to the one that was used."""
        if self.delegation_id not in self.rests_on:
            return (self.delegation_id,) if self.delegation_id else ()
        return self.rests_on[: self.rests_on.index(self.delegation_id) + 1]

    def through(self, service: str) -> "Caller":
        """The same caller, as a service that acts for it appears to the next."""
        return replace(self, kind=Kind.SERVICE, service=service, host_id="")


ANONYMOUS = Caller()
_current: ContextVar[Caller] = ContextVar("weft_caller", default=ANONYMOUS)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Caller)


def current() -> Caller:
    """The caller of the request or flow that is being worked on; ANONYMOUS outside of any."""
    return _current.get()


def enter(caller: Caller) -> None:
    """From here on (in this task), work is done for `caller`."""
    _current.set(caller)


@contextmanager
def acting_as(caller: Caller) -> Iterator[None]:
    """Within the block, work (and calls to other services) is done for `caller`."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)


def encode(caller: Caller) -> bytes:
    """For metadata and journals."""
    return _encoder.encode(caller)


def decode(data: bytes) -> Caller:
    """What `encode` wrote. Raises ValueError on anything else."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"not an encoded caller: {error}") from error
