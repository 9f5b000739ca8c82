"""Which host takes a server: placement's candidates, then filters, then weighers.

A filter says no to a host, and how many each refused is what `no valid host` tells. A weigher scores those
that are left from 0 to 1; the sum decides, chance where it is equal. What a soft policy of a server group
wishes comes before all weighers.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mesh.errors import CloudError
from services.compute.groups import Company
from weft.placement.v1.candidate_service_pb2 import ListCandidatesResponse
from weft.placement.v1.resources_pb2 import Candidate

# ClaimAllocations takes so many at most.
MOST_CLAIMED = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for besides amounts and traits. `excluded` are hosts that failed this boot already,
    `company` is what its group asks. It is to be on one of the hosts `among` (None: any), on none of `apart`.
    """

    host_id: str = ""
    availability_zone: str = ""
    excluded: frozenset[str] = frozenset()
    neighbours: Mapping[str, int] = field(default_factory=dict)
    company: Company = field(default_factory=Company)
    among: frozenset[str] | None = None
    apart: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Option:
    """One host that could take the server: its row (None when unknown here), its capacity, its use."""

    candidate: Candidate
    host: Any | None
    capacity: Mapping[str, int]
    used: Mapping[str, int]

    def free(self, resource_class: str) -> float:
        """Share of the class that nobody has, from 0 to 1."""
        capacity = self.capacity.get(resource_class, 0)
        return max(0.0, 1 - self.used.get(resource_class, 0) / capacity) if capacity else 0.0


class Filter(Protocol):
    """`name` is what `no valid host` calls it."""

    name: str

    def passes(self, option: Option, wish: Wish) -> bool:
        """Whether the host may take the server."""


class Known:
    """The host has registered with compute."""

    name = "known"

    def passes(self, option: Option, wish: Wish) -> bool:
        return option.host is not None


class Up:
    """Its heartbeats arrive."""

    name = "up"

    def passes(self, option: Option, wish: Wish) -> bool:
        return option.host is not None and option.host.status == "UP"


class Enabled:
    """No operator has disabled it."""

    name = "enabled"

    def passes(self, option: Option, wish: Wish) -> bool:
        return option.host is not None and not option.host.disabled


class RequestedHost:
    """It is the host that was asked for, where one was."""

    name = "requested_host"

    def passes(self, option: Option, wish: Wish) -> bool:
        return wish.host_id in ("", option.candidate.root_id)


class AvailabilityZone:
    """It is in the zone that was asked for, where one was."""

    name = "availability_zone"

    def passes(self, option: Option, wish: Wish) -> bool:
        if not wish.availability_zone:
            return True
        return option.host is not None and option.host.availability_zone == wish.availability_zone


class ServerGroup:
    """The group that the server is in allows it."""

    name = "server_group"

    def passes(self, option: Option, wish: Wish) -> bool:
        return wish.company.allows(option.candidate.root_id)


class SameHost:
    """One of the servers that it is to be with is there, where any were named."""

    name = "same_host"

    def passes(self, option: Option, wish: Wish) -> bool:
        return wish.among is None or option.candidate.root_id in wish.among


class DifferentHost:
    """None of the servers that it is to be apart from is there."""

    name = "different_host"

    def passes(self, option: Option, wish: Wish) -> bool:
        return option.candidate.root_id not in wish.apart


class NotExcluded:
    """It has not failed this boot already."""

    name = "not_excluded"

    def passes(self, option: Option, wish: Wish) -> bool:
        return option.candidate.root_id not in wish.excluded


class Weigher(Protocol):
    """Scores a host from 0 to 1; more is better."""

    def score(self, option: Option, wish: Wish) -> float:
        """How well it would do."""


class FreeMemory:
    """Much free memory."""

    def score(self, option: Option, wish: Wish) -> float:
        return option.free("MEMORY_MB")


class FreeVcpus:
    """Many free processors."""

    def score(self, option: Option, wish: Wish) -> float:
        return option.free("VCPU")


class Spread:
    """Few servers of the same project."""

    def score(self, option: Option, wish: Wish) -> float:
        return 1 / (1 + wish.neighbours.get(option.candidate.root_id, 0))


FILTERS: tuple[Filter, ...] = (
    Known(),
    Up(),
    Enabled(),
    RequestedHost(),
    AvailabilityZone(),
    ServerGroup(),
    SameHost(),
    DifferentHost(),
    NotExcluded(),
)
WEIGHERS: tuple[Weigher, ...] = (FreeMemory(), FreeVcpus(), Spread())


def choose(answer: ListCandidatesResponse, hosts: Mapping[str, Any], wish: Wish) -> list[Candidate]:
    """The candidates to claim, best first, at most 100. Raises NO_VALID_HOST when every one was refused."""
    options = _options(answer, hosts)
    removals = [(removal.requirement, removal.removed) for removal in answer.removals]
    for rule in FILTERS:
        passing = [option for option in options if rule.passes(option, wish)]
        removals.append((rule.name, len(options) - len(passing)))
        options = passing
    if not options:
        raise no_valid_host(removals)
    random.shuffle(options)
    options.sort(key=lambda option: _rank(option, wish))
    return [option.candidate for option in options[:MOST_CLAIMED]]


def _rank(option: Option, wish: Wish) -> tuple[int, float]:
    scores = sum(weigher.score(option, wish) for weigher in WEIGHERS)
    return wish.company.distance(option.candidate.root_id), -scores


def no_valid_host(removals: Sequence[tuple[str, int]]) -> CloudError:
    """Names every filter and how many hosts each removed, in order."""
    hosts = sum(count for name, count in removals if name == "hosts")
    pairs = [(name, count) for name, count in removals if name != "hosts"]
    told = (
        ", ".join(f"{name} {count}" for name, count in pairs if count) or "nothing: there was none to remove"
    )
    message = f"No host can take the server. Of {hosts} there were removed by {told}."
    filters = ",".join(f"{name}={count}" for name, count in pairs)
    return CloudError("NO_VALID_HOST", message, filters=filters, hosts=hosts)


def _options(answer: ListCandidatesResponse, hosts: Mapping[str, Any]) -> list[Option]:
    """One for each candidate; capacity and use are those of the root, which has processors and memory."""
    summaries = {summary.provider_id: summary for summary in answer.providers}
    options = []
    for candidate in answer.candidates:
        summary = summaries.get(candidate.root_id)
        capacity = dict(summary.capacity) if summary else {}
        used = dict(summary.used) if summary else {}
        options.append(Option(candidate, hosts.get(candidate.root_id), capacity, used))
    return options
