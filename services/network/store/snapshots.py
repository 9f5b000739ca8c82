"""Routers and floating IPs as they were, to be brought back: values that JSON can hold."""

import base64
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, LargeBinary, Table, select
from sqlalchemy.types import TypeEngine

from mesh.columns import Timestamp
from mesh.errors import CloudError
from services.network.model import FloatingIp, Router
from services.network.store import egress, floating_ips, port_rows, ports, routers
from services.network.store.attempts import whole_or_nothing
from services.network.store.rows import insert_unless_taken
from services.network.tables import fixed_ips, port_security_groups
from services.network.tables import ports as port_table

Snapshot = dict[str, Any]
_ROUTER = ("name", "description", "tags", "admin_state_up", "routes", "gateway_network_id", "snat_enabled")
_FLOATING_IP = ("description", "tags", "port_id", "fixed_ip")
_USE = ("device_owner", "device_id", "status", "port_security_enabled")


def of_router(connection: Connection, router: Router, port_ids: Iterable[str] = ()) -> Snapshot:
    """A router with the rows of its ports, and of those that are to become its own."""
    wanted = {foot.port_id for foot in router.feet} | set(port_ids)
    found = {id: _rows(connection, id) for id in sorted(wanted)}
    return _plain({"is": {name: getattr(router, name) for name in _ROUTER}, "ports": found})


def of_floating_ip(floating_ip: FloatingIp) -> Snapshot:
    """A floating IP and where it leads."""
    return _plain({name: getattr(floating_ip, name) for name in _FLOATING_IP})


def restore_router(connection: Connection, id: str, before: Snapshot | None, after: Snapshot) -> None:
    """Make a router what it was before a change, None for nothing; whole, or not at all.

    NOT_FOUND, or WRONG_STATUS when it is not what the change made of it any more; IN_USE when something that
    came meanwhile needs it so.
    """
    with whole_or_nothing(connection):
        router = routers.get(connection, id, None, "update")
        _require_same(connection, router, after)
        if before is None:
            routers.delete_router(connection, router, 0)
            return
        _require_unneeded(connection, router, before)
        for port_id in after["ports"].keys() - before["ports"].keys():
            port_rows.remove(connection, port_rows.find(connection, port_id))
        for port_id, rows in before["ports"].items():
            _put_back(connection, port_id, rows, after["ports"].get(port_id))
        routers.update(connection, router, 0, before["is"])
        egress.settle(connection, id)


def restore_floating_ip(connection: Connection, id: str, before: Snapshot | None, after: Snapshot) -> None:
    """The same of a floating IP."""
    with whole_or_nothing(connection):
        floating_ip = floating_ips.get(connection, id, None, "update")
        if of_floating_ip(floating_ip) != after:
            raise _changed("floating_ip", id)
        if before is None:
            floating_ips.delete_floating_ip(connection, floating_ip, 0)
            return
        way = floating_ips.lead_nowhere()
        if before["port_id"]:
            port = ports.get(connection, before["port_id"], None, "share")
            way = floating_ips.lead_to(connection, floating_ip, port, before["fixed_ip"])
        floating_ips.update(connection, floating_ip, 0, {**before, **way})


def _require_same(connection: Connection, router: Router, after: Snapshot) -> None:
    now = of_router(connection, router)
    if now["is"] != after["is"] or _places(now) != _places(after):
        raise _changed("router", router.id)


def _places(snapshot: Snapshot) -> dict[str, Any]:
    """Which ports a router has, and where."""
    return {id: rows["fixed_ips"] for id, rows in snapshot["ports"].items()}


def _require_unneeded(connection: Connection, router: Router, before: Snapshot) -> None:
    """Floating IPs still get by what the router was before."""
    inside = {ip["subnet_id"] for rows in before["ports"].values() for ip in rows["fixed_ips"]}
    for row in floating_ips.by_router(connection, router.id):
        if row.network_id != before["is"]["gateway_network_id"] or row.subnet_id not in inside:
            message = f"The floating IP {row.address} leads by the router {router.id} as it is now."
            raise CloudError(
                "IN_USE",
                message,
                resource_type="router",
                id=router.id,
                used_by_type="floating_ip",
                used_by_id=row.id,
            )


def _rows(connection: Connection, port_id: str) -> Snapshot:
    """A port's rows in all tables."""
    port = connection.execute(select(port_table).where(port_table.c.id == port_id)).one()
    return {
        "port": dict(port._mapping),
        "fixed_ips": _of_port(connection, fixed_ips, port_id),
        "groups": _of_port(connection, port_security_groups, port_id),
    }


def _of_port(connection: Connection, table: Table, port_id: str) -> list[dict[str, Any]]:
    query = select(table).where(table.c.port_id == port_id).order_by(*table.primary_key)
    return [dict(row._mapping) for row in connection.execute(query)]


def _put_back(connection: Connection, port_id: str, rows: Snapshot, now: Snapshot | None) -> None:
    """A port that has gone comes again; one that was a user's is that again."""
    if now is None:
        _insert(connection, port_table, rows["port"])
        for row in rows["fixed_ips"]:
            _insert(connection, fixed_ips, row)
        for row in rows["groups"]:
            _insert(connection, port_security_groups, row)
        port_rows.created(connection, port_id)
    elif rows["port"]["device_owner"] != now["port"]["device_owner"]:
        port_rows.set_groups(connection, port_id, [row["security_group_id"] for row in rows["groups"]])
        port_rows.change(connection, port_id, {name: rows["port"][name] for name in _USE})


def _insert(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    values = {name: _revived(table.c[name].type, value) for name, value in row.items()}
    if not insert_unless_taken(connection, table, values):
        message = f"Somebody else has {row.get('ip_address') or row.get('id')} by now."
        raise CloudError("ADDRESS_IN_USE", message, address=row.get("ip_address", ""), network_id="")


def _plain(value: Snapshot) -> Snapshot:
    """As it is when it comes back from JSON."""
    plain: Snapshot = msgspec.json.decode(msgspec.json.encode(value))
    return plain


def _revived(kind: TypeEngine[Any], value: Any) -> Any:
    if isinstance(kind, Timestamp):
        return datetime.fromisoformat(value)
    return base64.b64decode(value) if isinstance(kind, LargeBinary) else value


def _changed(kind: str, id: str) -> CloudError:
    message = f"The {kind.replace('_', ' ')} was changed again since."
    return CloudError("WRONG_STATUS", message, resource_type=kind, id=id, status="changed", allowed="")
