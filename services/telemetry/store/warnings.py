"""Warnings: what each finder told last about each of its topics."""

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from mesh import clock
from mesh.caller import Caller
from mesh.paging import page
from services.telemetry.tables import warnings
from weft.telemetry.v1.warning_service_pb2 import Warning, WarningKind

# What nobody repeats for so long is nobody's any more: its finder is gone for good.
MEMORY = timedelta(days=1)
_NAMESPACE = uuid.UUID("7d0a3c1e-52f4-4c5e-9d0b-6b9f0d5c2a11")
_KEY = ("kind", "resource_type", "resource_id", "host_id")


def replace(connection: Connection, source: str, topic: str, told: Iterable[Warning]) -> None:
    """These, and no others, are what `source` has found about `topic`."""
    found = {row["id"]: row for row in (_values(source, topic, warning) for warning in told)}
    mine = (warnings.c.source == source, warnings.c.topic == topic)
    known = set(connection.scalars(select(warnings.c.id).where(*mine).with_for_update()))
    if over := known - found.keys():
        connection.execute(delete(warnings).where(warnings.c.id.in_(over)))
    now = clock.now()
    for id in known & found.keys():
        values = {"message": found[id]["message"], "last_seen_at": now}
        connection.execute(update(warnings).where(warnings.c.id == id).values(values))
    if new := [found[id] | {"first_seen_at": now, "last_seen_at": now} for id in found.keys() - known]:
        connection.execute(insert(warnings), new)


def find(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of warnings, oldest first."""
    query = select(warnings)
    for field in ("host_id", "resource_id", "source"):
        if value := getattr(request, field):
            query = query.where(warnings.c[field] == value)
    if request.kind:
        query = query.where(warnings.c.kind == _kind(request.kind))
    return page(connection, query, [warnings.c.first_seen_at, warnings.c.id], request, caller)


def forget(connection: Connection) -> int:
    """Delete what nobody has repeated for a day; how many that were."""
    old = warnings.c.last_seen_at < clock.now() - MEMORY
    return connection.execute(delete(warnings).where(old)).rowcount


def _values(source: str, topic: str, warning: Warning) -> dict[str, Any]:
    about = [getattr(warning, name) for name in _KEY]
    id = str(uuid.uuid5(_NAMESPACE, "/".join([source, topic, *map(str, about)])))
    values = dict(zip(_KEY, about, strict=True)) | {"kind": _kind(warning.kind)}
    return {"id": id, "source": source, "topic": topic, "message": warning.message, **values}


def _kind(number: Any) -> str:
    return WarningKind.Name(number).removeprefix("WARNING_KIND_")
