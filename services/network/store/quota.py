"""Quota: usage counted from the rows themselves, inside the unit of work that adds to them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, func, not_, select, true

from mesh import limits as mesh_limits
from mesh.prepared import Prepared
from services.network import model
from services.network.tables import (
    floating_ips,
    networks,
    ports,
    routers,
    security_group_rules,
    security_groups,
    subnets,
)

# Ports of the network's own (DHCP, routers, floating IPs) are not counted.
_COUNTED: dict[str, tuple[Table, ColumnElement[Any]]] = {
    "networks": (networks, true()),
    "subnets": (subnets, true()),
    "ports": (ports, not_(ports.c.device_owner.startswith(model.OWN))),
    "routers": (routers, true()),
    "floating_ips": (floating_ips, true()),
    "security_groups": (security_groups, true()),
    "security_group_rules": (security_group_rules, true()),
}

_IDS = bindparam("ids", expanding=True)
_USAGE = {
    name: Prepared(select(func.count()).select_from(table).where(table.c.project_id.in_(_IDS), counted))
    for name, (table, counted) in _COUNTED.items()
}


def check(
    connection: Connection, project_id: str, limits: Mapping[str, int], resource: str, requested: int = 1
) -> None:
    """QUOTA_EXCEEDED when `requested` more would pass the project's limit; -1 or no limit is none.

    Until the unit commits nobody else adds to the same project.
    """

    def used(project_ids: Sequence[str]) -> dict[str, int]:
        return {resource: usage(connection, project_ids, resource)}

    mesh_limits.claim(connection, "network", project_id, limits, {resource: requested}, used)


def usage(connection: Connection, project_ids: Sequence[str], resource: str) -> int:
    """How many the projects have."""
    return _USAGE[resource].scalar(connection, ids=list(project_ids)) or 0
