"""Which operation brings the last change of a router or a floating IP to hosts."""

from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection, update

from services.network.model import FloatingIp, Router
from services.network.tables import floating_ips, routers

R = TypeVar("R", Router, FloatingIp)


def follow(connection: Connection, changed: R, operation_id: str) -> R:
    """The resource, whose last change this operation follows ("": none). That is no change of its own."""
    if operation_id == (changed.operation_id or ""):
        return changed
    table = routers if isinstance(changed, Router) else floating_ips
    named = {"operation_id": operation_id or None}
    connection.execute(update(table).where(table.c.id == changed.id).values(**named))
    return replace(changed, **named)
