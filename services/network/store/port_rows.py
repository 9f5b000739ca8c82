"""Ports as rows: what ports of users, routers, floating IPs and DHCP have in common."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from mesh import ids
from mesh.database import compare_and_swap
from mesh.errors import CloudError, not_found
from mesh.prepared import Prepared
from services.network import macs, model
from services.network.model import FixedIp, Network, Port
from services.network.store import events
from services.network.store.rows import insert_unless_taken
from services.network.tables import fixed_ips, port_security_groups, ports

# Each port is read with these several times in its life.
_FIND = Prepared(select(ports).where(ports.c.id == bindparam("id")))
_IDS = bindparam("ids", expanding=True)
_ADDRESSES = select(fixed_ips.c.port_id, fixed_ips.c.subnet_id, fixed_ips.c.ip_address)
_ADDRESSES = Prepared(_ADDRESSES.where(fixed_ips.c.port_id.in_(_IDS)).order_by(fixed_ips.c.position))
_GROUPS = select(port_security_groups.c.port_id, port_security_groups.c.security_group_id)
_GROUPS = _GROUPS.where(port_security_groups.c.port_id.in_(_IDS))
_GROUPS = Prepared(_GROUPS.order_by(port_security_groups.c.security_group_id))
_ADD_GROUP = Prepared(insert(port_security_groups), "port_id", "security_group_id")
_DELETE = Prepared(delete(ports).where(ports.c.id == bindparam("id")))


def insert_port(connection: Connection, network: Network, values: Mapping[str, Any]) -> str:
    """A row with a MAC that the network does not have yet; its id.

    ALREADY_EXISTS when the id or the MAC that `values` asks for is taken.
    """
    row: dict[str, Any] = {
        "id": ids.new(),
        "network_id": network.id,
        "description": "",
        "port_security_enabled": False,
        "allowed_address_pairs": [],
        "status": "ACTIVE",
        "admin_state_up": True,
        "device_owner": "",
        "device_id": "",
        "host_id": "",
        "wire_revision": 1,
        "tags": [],
        **values,
    }
    while not insert_unless_taken(connection, ports, {"mac_address": macs.new(), **row}):
        _check_taken(connection, row)
    return row["id"]


def insert_own(connection: Connection, network: Network, project_id: str, owner: str, device_id: str) -> str:
    """A port of the network's own: no filters, and no wire of its own on any host."""
    values = {"project_id": project_id, "device_owner": owner, "device_id": device_id}
    return insert_port(connection, network, values)


def find(connection: Connection, id: str) -> Port:
    """One port, whosever. NOT_FOUND."""
    row = _FIND.one(connection, id=id)
    if row is None:
        raise not_found("port", id)
    return load(connection, [row])[0]


def change(connection: Connection, id: str, values: dict[str, Any], expected_revision: int = 0) -> Port:
    """The port after a change, of which watchers are told. REVISION_MISMATCH."""
    row = compare_and_swap(connection, ports, id, expected_revision, values)
    port = load(connection, [row])[0]
    events.tell(connection, "UPDATED", port)
    return port


def created(connection: Connection, id: str) -> Port:
    """The port just inserted, with its addresses and groups; watchers are told."""
    port = find(connection, id)
    events.tell(connection, "CREATED", port)
    return port


def made(connection: Connection, id: str, given: Iterable[FixedIp], group_ids: Iterable[str]) -> Port:
    """The same, where its addresses and groups are known."""
    row = _FIND.one(connection, id=id)
    assert row is not None
    groups = tuple(sorted(set(group_ids)))
    port = Port(**row._mapping, fixed_ips=tuple(given), security_group_ids=groups)
    events.tell(connection, "CREATED", port)
    return port


def remove(connection: Connection, port: Port) -> None:
    """Delete a port, whatever it is for; its addresses are free again."""
    _DELETE.run(connection, id=port.id)
    events.tell(connection, "DELETED", port)


def set_groups(connection: Connection, port_id: str, group_ids: Sequence[str]) -> None:
    """Replace a port's security groups."""
    connection.execute(delete(port_security_groups).where(port_security_groups.c.port_id == port_id))
    add_groups(connection, port_id, group_ids)


def add_groups(connection: Connection, port_id: str, group_ids: Sequence[str]) -> None:
    """Give security groups to a port that has none."""
    for group_id in group_ids:
        _ADD_GROUP.run(connection, port_id=port_id, security_group_id=group_id)


def load(connection: Connection, found: Sequence[Row[Any]]) -> list[Port]:
    """Rows of `ports` with their addresses and groups."""
    port_ids = [row.id for row in found]
    addresses: dict[str, list[FixedIp]] = {}
    for port_id, subnet_id, address in _ADDRESSES.all(connection, ids=port_ids):
        addresses.setdefault(port_id, []).append(FixedIp(subnet_id, address))
    groups: dict[str, list[str]] = {}
    for port_id, group_id in _GROUPS.all(connection, ids=port_ids):
        groups.setdefault(port_id, []).append(group_id)
    return [
        Port(
            **row._mapping,
            fixed_ips=tuple(addresses.get(row.id, ())),
            security_group_ids=tuple(groups.get(row.id, ())),
        )
        for row in found
    ]


def refuse_own(port: Port) -> None:
    """IN_USE for a port of a router, a floating IP or DHCP: it goes with what it is for."""
    if port.device_owner.startswith(model.OWN):
        user = port.device_owner.removeprefix(model.OWN)
        message = f"The port {port.id} is of the {user} {port.device_id} and goes with it."
        raise CloudError(
            "IN_USE",
            message,
            resource_type="port",
            id=port.id,
            used_by_type=user,
            used_by_id=port.device_id,
        )


def _check_taken(connection: Connection, row: Mapping[str, Any]) -> None:
    """What was it that the row met? Another's random MAC is no error: the next try has a new one."""
    if connection.scalar(select(ports.c.id).where(ports.c.id == row["id"])):
        message = f"There is a port {row['id']} already."
        raise CloudError("ALREADY_EXISTS", message, resource_type="port", name=row["id"])
    if "mac_address" in row:
        message = f"The network has a port with the MAC {row['mac_address']} already."
        raise CloudError("ALREADY_EXISTS", message, resource_type="port", name=row["mac_address"])
