"""What the policy of a server group asks of a host."""

from collections.abc import Mapping
from dataclasses import dataclass, field

AFFINITY, ANTI_AFFINITY = "AFFINITY", "ANTI_AFFINITY"
SOFT_AFFINITY, SOFT_ANTI_AFFINITY = "SOFT_AFFINITY", "SOFT_ANTI_AFFINITY"


@dataclass(frozen=True, slots=True)
class Company:
    """The group that a server is in, as one of its servers looks for a host.

    `policy` is "" where there is none. `others` says how many of its other servers have a place on each host:
    those that are there, those whose boot has claimed one, and both places of a resize that is not confirmed.
    """

    policy: str = ""
    most: int = 0
    others: Mapping[str, int] = field(default_factory=dict)

    def allows(self, host_id: str) -> bool:
        """Whether the server may be on the host."""
        if self.policy == AFFINITY:
            return self.others.keys() <= {host_id}
        return self.policy != ANTI_AFFINITY or self.others.get(host_id, 0) < self.most

    def distance(self, host_id: str) -> int:
        """How far the host is from what a soft policy wishes: 0 is next to it, and more is worse."""
        there = self.others.get(host_id, 0)
        if self.policy == SOFT_AFFINITY:
            return max(self.others.values(), default=0) - there
        return there if self.policy == SOFT_ANTI_AFFINITY else 0

    def nearest(self) -> list[str]:
        """The hosts to look at before any other, best first."""
        if self.policy not in (AFFINITY, SOFT_AFFINITY):
            return []
        return sorted(self.others, key=lambda host_id: (self.distance(host_id), host_id))
