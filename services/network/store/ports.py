"""Ports as their users know them: made, changed, bound to hosts, reported wired, deleted."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Connection, Row, bindparam, select

from mesh.caller import Caller
from mesh.errors import CloudError, wrong_status
from mesh.kept import Kept
from mesh.prepared import Prepared
from services.network import messages, model
from services.network.model import FixedIp, Network, Port
from services.network.store import (
    addresses,
    egress,
    events,
    floating_ips,
    port_rows,
    quota,
    rows,
    security_groups,
    subnets,
)
from services.network.tables import fixed_ips, port_security_groups, ports

# Changes that the port's host has to wire.
_WIRED = frozenset(
    {"fixed_ips", "security_group_ids", "port_security_enabled", "allowed_address_pairs", "admin_state_up"}
)
_NEXT = ports.c.revision + 1
_ON_HOST = select(ports).where(
    ports.c.host_id == bindparam("host_id"), ports.c.id.in_(bindparam("ids", expanding=True))
)
_ON_HOST = Prepared(_ON_HOST.with_for_update())


def get(connection: Connection, id: str, reach: str | None, lock: rows.Lock = "") -> Port:
    """One port. NOT_FOUND."""
    return port_rows.load(connection, [rows.get(connection, ports, id, reach, lock)])[0]


def kept() -> Kept:
    """For `page`."""

    def made(connection: Connection, found: list[Row[Any]]) -> list[Message]:
        return [messages.port(port, full=True) for port in port_rows.load(connection, found)]

    return Kept(ports, made)


def page(
    connection: Connection,
    known: Kept,
    request: Message,
    caller: Caller,
    wanted: Mapping[str, object],
    ip_address: str = "",
    security_group_id: str = "",
) -> tuple[list[bytes], str]:
    """A page of the caller's ports, as messages for those who may see all of them."""
    query = rows.filtered(select(ports).where(rows.within(ports, caller.reach)), ports, **wanted)
    if ip_address:
        having = select(fixed_ips.c.port_id).where(fixed_ips.c.ip_address == ip_address)
        query = query.where(ports.c.id.in_(having))
    if security_group_id:
        pairs = port_security_groups.c
        having = select(pairs.port_id).where(pairs.security_group_id == security_group_id)
        query = query.where(ports.c.id.in_(having))
    return known.page(connection, query, rows.by_age(ports), request, caller)


def create(
    connection: Connection,
    network: Network,
    values: Mapping[str, Any],
    wanted_ips: Sequence[FixedIp],
    group_ids: Sequence[str] | None,
    limits: Mapping[str, int],
) -> Port:
    """A new port of a network that was read locked; `group_ids` None means the project's `default`. With a
    host it is bound to it, which is told to wire it.

    QUOTA_EXCEEDED, ALREADY_EXISTS, ADDRESSES_EXHAUSTED, ADDRESS_IN_USE, ADDRESS_OUT_OF_RANGE, NOT_FOUND.
    """
    project_id = values["project_id"]
    quota.check(connection, project_id, limits, "ports")
    if group_ids is None:
        group_ids = [security_groups.ensure_default(connection, project_id)]
    security_groups.require_all(connection, group_ids, project_id)
    status = "BINDING" if values["host_id"] else "UNBOUND"
    port_id = port_rows.insert_port(connection, network, {**values, "status": status})
    have = subnets.of_network(connection, network.id)
    given = addresses.take_wanted(connection, network, have, port_id, wanted_ips)
    port_rows.add_groups(connection, port_id, group_ids)
    port = port_rows.made(connection, port_id, given, group_ids)
    if port.host_id:
        egress.follow(connection, network.id)
    return port


def update(
    connection: Connection, port: Port, network: Network, expected_revision: int, values: Mapping[str, Any]
) -> Port:
    """The port after the change. REVISION_MISMATCH; IN_USE where a floating IP leads to what goes."""
    columns = {name: value for name, value in values.items() if name in ports.c}
    if _WIRED & values.keys():
        columns["wire_revision"] = _NEXT
    if "fixed_ips" in values:
        _replace_addresses(connection, port, network, values["fixed_ips"])
    if "security_group_ids" in values:
        _replace_groups(connection, port, values["security_group_ids"])
    return port_rows.change(connection, port.id, columns, expected_revision)


def delete(connection: Connection, port: Port, expected_revision: int) -> None:
    """A floating IP that leads there leads nowhere from then on. IN_USE for the network's own ports."""
    port_rows.refuse_own(port)
    if expected_revision:
        port_rows.change(connection, port.id, {}, expected_revision)
    floating_ips.disconnect(connection, port.id)
    port_rows.remove(connection, port)


def bind(connection: Connection, port: Port, host_id: str, device_id: str) -> Port:
    """Put it on a host, which is told to wire it. WRONG_STATUS when it is on another, IN_USE for another."""
    port_rows.refuse_own(port)
    if port.host_id not in ("", host_id):
        raise wrong_status("port", port.id, f"on the host {port.host_id}", ["UNBOUND"])
    if port.device_id not in ("", device_id):
        message = f"The port {port.id} belongs to {port.device_id}."
        raise CloudError(
            "IN_USE",
            message,
            resource_type="port",
            id=port.id,
            used_by_type=port.device_owner or "device",
            used_by_id=port.device_id,
        )
    if (port.host_id, port.device_id) == (host_id, device_id):
        return port
    values = {
        "host_id": host_id,
        "device_id": device_id,
        "device_owner": port.device_owner or model.COMPUTE,
        "status": "BINDING",
        "status_reason": "",
        "wire_revision": _NEXT,
    }
    bound = port_rows.change(connection, port.id, values)
    egress.follow(connection, port.network_id)
    return bound


def unbind(connection: Connection, port: Port, host_id: str) -> Port:
    """Take it from its host and device; as it is when it is not on `host_id` ("": whichever)."""
    port_rows.refuse_own(port)
    if host_id not in ("", port.host_id) or not (port.host_id or port.device_id):
        return port
    gone = {"host_id": "", "device_id": "", "device_owner": "", "status": "UNBOUND", "status_reason": ""}
    return port_rows.change(connection, port.id, {**gone, "wire_revision": _NEXT})


def report(connection: Connection, host_id: str, reports: Mapping[str, tuple[str, int, str]]) -> int:
    """What a host says of ports: (state, revision wired, detail) by id. How many ports changed by it.

    Of ports that are not on that host (any more) nothing is believed.
    """
    changes = 0
    for row in _ON_HOST.all(connection, host_id=host_id, ids=list(reports)):
        status, reason = _status_after(row.status, row.wire_revision, *reports[row.id])
        if (status, reason) != (row.status, row.status_reason):
            port_rows.change(connection, row.id, {"status": status, "status_reason": reason})
            changes += 1
    return changes


def _status_after(status: str, wanted: int, state: str, revision: int, detail: str) -> tuple[str, str]:
    if state == "WIRED" and revision >= wanted:
        return "ACTIVE", ""
    if state == "FAILED":
        return "DOWN", detail
    if state == "REMOVED" and status == "ACTIVE":
        return "DOWN", "Its host does not have it any more."
    return status, ""


def _replace_addresses(
    connection: Connection, port: Port, network: Network, wanted: Sequence[FixedIp]
) -> None:
    addresses.release(connection, port.id)
    have = subnets.of_network(connection, network.id)
    given = addresses.take_wanted(connection, network, have, port.id, wanted) if wanted else []
    floating_ips.require_unused(connection, port.id, keep=[ip.ip_address for ip in given])


def _replace_groups(connection: Connection, port: Port, group_ids: Sequence[str]) -> None:
    security_groups.require_all(connection, group_ids, port.project_id)
    port_rows.set_groups(connection, port.id, group_ids)
    for group_id in set(port.security_group_ids) - set(group_ids):
        events.touch(connection, group_id)
