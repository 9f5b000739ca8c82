"""Endpoints: the catalogue."""

from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select, true

from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import not_found
from mesh.paging import page
from mesh.prepared import Prepared
from services.identity.store import regions, rows, services
from services.identity.tables import endpoints
from services.identity.tables import services as service_table

_ORDER = [endpoints.c.created_at, endpoints.c.id]
_SHOWN = endpoints.c.enabled & service_table.c.enabled


def _query() -> Select[Any]:
    """Endpoints with the type and name of their services."""
    kind, name = service_table.c.type.label("service_type"), service_table.c.name.label("service_name")
    return select(endpoints, kind, name).join(service_table, service_table.c.id == endpoints.c.service_id)


_ENABLED = Prepared(_query().where(_SHOWN).order_by(*_ORDER))


def get(connection: Connection, id: str, everything: bool) -> Row[Any]:
    """The endpoint. Raises NOT_FOUND, for a disabled one too unless `everything` is to be seen."""
    query = _query().where(endpoints.c.id == id, true() if everything else _SHOWN)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise not_found("endpoint", id)
    return row


def listed(
    connection: Connection, request: Any, caller: Caller, everything: bool
) -> tuple[list[Row[Any]], str]:
    """A page of endpoints; the disabled too when `everything` is to be seen."""
    query = _query().where(true() if everything else _SHOWN)
    for name in ("region", "interface", "service_id"):
        if getattr(request, name):
            query = query.where(endpoints.c[name] == getattr(request, name))
    if request.service_type:
        query = query.where(service_table.c.type == request.service_type)
    return page(connection, query, _ORDER, request, caller)


def enabled(connection: Connection) -> list[Row[Any]]:
    """The whole catalogue, oldest first."""
    return _ENABLED.all(connection)


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new endpoint; its region is made when it is not there. Raises NOT_FOUND for its service."""
    services.hold(connection, values["service_id"])
    regions.there(connection, values["region"])
    id = connection.scalar(endpoints.insert().values(values).returning(endpoints.c.id))
    return get(connection, str(id), everything=True)


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change an endpoint. Raises as `create`."""
    if "service_id" in values:
        services.hold(connection, values["service_id"])
    if "region" in values:
        regions.there(connection, values["region"])
    compare_and_swap(connection, endpoints, id, expected_revision, values)
    return get(connection, id, everything=True)


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete an endpoint."""
    compare_and_swap(connection, endpoints, id, expected_revision, {})
    connection.execute(delete(endpoints).where(endpoints.c.id == id))


def keep(connection: Connection, id: str, service: tuple[str, str], values: dict[str, Any]) -> None:
    """Make the endpoint of the service (type, name), or have it as given while nobody has changed it; what
    was deleted comes back.
    """
    row = rows.find(connection, endpoints, id)
    if row is None:
        create(connection, {"id": id, "service_id": services.there(connection, *service), **values})
    elif row.revision == 1 and row.url != values["url"]:
        connection.execute(endpoints.update().where(endpoints.c.id == id).values(url=values["url"]))
