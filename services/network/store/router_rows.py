"""Routers as rows, with their interfaces, which are ports."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from mesh.errors import not_found
from services.network import model
from services.network.model import Interface, Router
from services.network.tables import fixed_ips, ports, routers, subnets


def find(connection: Connection, id: str) -> Router:
    """One router, whosever. NOT_FOUND."""
    row = connection.execute(select(routers).where(routers.c.id == id)).one_or_none()
    if row is None:
        raise not_found("router", id)
    return load(connection, [row])[0]


def load(connection: Connection, found: Sequence[Row[Any]]) -> list[Router]:
    """Rows of `routers` with their interfaces, oldest first."""
    feet: dict[tuple[str, str], list[Interface]] = {}
    for row in connection.execute(_feet([row.id for row in found])):
        foot = Interface(
            row.port_id, row.network_id, row.subnet_id, row.mac_address, row.ip_address, row.cidr
        )
        feet.setdefault((row.device_id, row.device_owner), []).append(foot)
    return [
        Router(
            **row._mapping,
            gateway=next(iter(feet.get((row.id, model.ROUTER_GATEWAY), ())), None),
            interfaces=tuple(feet.get((row.id, model.ROUTER_INTERFACE), ())),
        )
        for row in found
    ]


def _feet(router_ids: Sequence[str]) -> Any:
    mine = ports.c.device_id.in_(router_ids)
    owners = ports.c.device_owner.in_((model.ROUTER_INTERFACE, model.ROUTER_GATEWAY))
    return (
        select(
            ports.c.device_id,
            ports.c.device_owner,
            ports.c.network_id,
            ports.c.mac_address,
            fixed_ips.c.port_id,
            fixed_ips.c.subnet_id,
            fixed_ips.c.ip_address,
            subnets.c.cidr,
        )
        .select_from(ports)
        .join(fixed_ips, fixed_ips.c.port_id == ports.c.id)
        .join(subnets, subnets.c.id == fixed_ips.c.subnet_id)
        .where(mine, owners)
        .order_by(ports.c.created_at, ports.c.id, fixed_ips.c.position)
    )
