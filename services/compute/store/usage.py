"""How much a project has: counted from its servers' rows inside the unit of work that adds to them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, func, select

from mesh import limits
from mesh.prepared import Prepared
from services.compute.tables import servers

_SUMS = select(func.count(), func.sum(servers.c.vcpus), func.sum(servers.c.memory_mib))
_SUMS = Prepared(_SUMS.where(servers.c.project_id.in_(bindparam("project_ids", expanding=True))))


def claim(
    connection: Connection, project_id: str, allowed: Mapping[str, int], more: Mapping[str, int]
) -> None:
    """Raises QUOTA_EXCEEDED when `more` on top of what the project has would pass a limit.

    Holds the project until the unit ends, so that no other unit counts the same room.
    """
    limits.claim(connection, "compute", project_id, allowed, more, lambda these: of(connection, these))


def of(connection: Connection, project_ids: Sequence[str]) -> dict[str, int]:
    """What the servers of these projects take, by the names of its limits."""
    ((count, vcpus, memory),) = _SUMS.all(connection, project_ids=project_ids)
    return {"servers": count, "vcpus": int(vcpus or 0), "memory_mib": int(memory or 0)}
