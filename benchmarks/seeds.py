"""Servers that nobody booted: rows of a booted one, copied into SQLite's files with what else is of a server.

Each host has so many, ten hosts share a network, and each network is a project's own with its default
security group: the rows are as if tenants of a hundred servers each had come one after the other.
"""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson

from benchmarks import simulated_hosts

HOSTS_A_NETWORK = 10
_ROWS = 5000
# Far from what the service gives by chance.
_FIRST_VNI = 10_000_000
_IDS = uuid.UUID("5d2f7f1e-2b3c-4d64-9a55-b7a3a6d5f0c2")
Row = dict[str, Any]


@dataclass(frozen=True)
class Tenant:
    """A project with its network."""

    number: int

    def id(self, what: str) -> str:
        """The id of its project, network, subnet or group, or of a rule of the group."""
        return str(uuid.uuid5(_IDS, f"{self.number} {what}"))


@dataclass(frozen=True)
class Place:
    """A guest of a host."""

    host: int
    guest: int
    among: int

    @property
    def tenant(self) -> Tenant:
        """Whose it is."""
        return Tenant(self.host // HOSTS_A_NETWORK)

    @property
    def server_id(self) -> str:
        """The server."""
        return simulated_hosts.guest_id(self.host, self.guest)

    @property
    def port_id(self) -> str:
        """Its port."""
        return str(uuid.uuid5(_IDS, f"port of {self.server_id}"))

    @property
    def _number(self) -> int:
        """Of those of its network, from 10 on."""
        return 10 + self.host % HOSTS_A_NETWORK * self.among + self.guest

    @property
    def ip_address(self) -> str:
        """Its port's."""
        return f"10.20.{self._number >> 8}.{self._number & 255}"

    @property
    def mac_address(self) -> str:
        """Its port's."""
        return f"02:77:77:00:{self._number >> 8:02x}:{self._number & 255:02x}"


def seed(state: Path, server_id: str, hosts: range, guests: int) -> None:
    """So many copies of the server on each of these hosts, which need not be there yet. Blocks."""
    places = [Place(host, guest, guests) for host in hosts for guest in range(guests)]
    with closing(_open(state, "compute")) as compute, closing(_open(state, "network")) as network:
        server = _one(compute, "servers", "id", server_id)
        port = _one(network, "ports", "device_id", server_id)
        _copy(compute, "servers", server, (_server(place, server) for place in places))
        _tenants(network, port, sorted({place.tenant.number for place in places}))
        _copy(network, "ports", port, map(_port, places))
        _copy(network, "fixed_ips", _one(network, "fixed_ips", "port_id", port["id"]), map(_fixed_ip, places))
        link = _one(network, "port_security_groups", "port_id", port["id"])
        _copy(network, "port_security_groups", link, map(_in_group, places))
    with closing(_open(state, "placement")) as placement:
        consumer = _one(placement, "consumers", "id", server_id)
        _copy(placement, "consumers", consumer, map(_consumer, places))
        for has in _all(placement, "allocations", "consumer_id", server_id):
            _copy(placement, "allocations", has, map(_allocation, places))


def _tenants(network: sqlite3.Connection, port: Row, numbers: Iterable[int]) -> None:
    """A project, network, subnet and default group for each, like those of the booted server."""
    tenants = [Tenant(number) for number in numbers]
    group = _one(network, "port_security_groups", "port_id", port["id"])["security_group_id"]
    originals = [
        ("networks", _one(network, "networks", "id", port["network_id"])),
        ("subnets", _one(network, "subnets", "network_id", port["network_id"])),
        ("security_groups", _one(network, "security_groups", "id", group)),
        *(
            ("security_group_rules", rule)
            for rule in _all(network, "security_group_rules", "security_group_id", group)
        ),
    ]
    for table, original in originals:
        _copy(network, table, original, (_of_tenant(table, original, tenant) for tenant in tenants))


def _of_tenant(table: str, original: Row, tenant: Tenant) -> Row:
    group = tenant.id("security_groups")
    row = {"id": tenant.id(table), "project_id": tenant.id("project")}
    if table == "networks":
        row |= {"segmentation_id": _FIRST_VNI + tenant.number}
    if table == "subnets":
        row |= {"network_id": tenant.id("networks")}
    if table == "security_group_rules":
        remote = group if original["remote_group_id"] else None
        row |= {"id": tenant.id(original["signature"]), "security_group_id": group, "remote_group_id": remote}
    return row


def _server(place: Place, original: Row) -> Row:
    (port,) = orjson.loads(original["ports"])
    told = {"port_id": place.port_id, "network_id": place.tenant.id("networks")}
    addresses = {"mac_address": place.mac_address, "ip_addresses": [place.ip_address]}
    return {
        "id": place.server_id,
        "project_id": place.tenant.id("project"),
        "host_id": simulated_hosts.host_id(place.host),
        "host_name": f"b{place.host}",
        "ports": orjson.dumps([port | {k: v for k, v in (told | addresses).items() if k in port}]).decode(),
        "addresses": f" {place.ip_address} ",
    }


def _port(place: Place) -> Row:
    return {
        "id": place.port_id,
        "project_id": place.tenant.id("project"),
        "network_id": place.tenant.id("networks"),
        "mac_address": place.mac_address,
        "device_id": place.server_id,
        "host_id": simulated_hosts.host_id(place.host),
    }


def _fixed_ip(place: Place) -> Row:
    address = ip_address(place.ip_address)
    return {
        "subnet_id": place.tenant.id("subnets"),
        "packed": address.packed,
        "ip_address": str(address),
        "port_id": place.port_id,
    }


def _in_group(place: Place) -> Row:
    return {"port_id": place.port_id, "security_group_id": place.tenant.id("security_groups")}


def _consumer(place: Place) -> Row:
    return {"id": place.server_id, "project_id": place.tenant.id("project")}


def _allocation(place: Place) -> Row:
    return {"consumer_id": place.server_id, "provider_id": simulated_hosts.host_id(place.host)}


def _open(state: Path, service: str) -> sqlite3.Connection:
    connection = sqlite3.connect(state / f"{service}.db", timeout=60)
    connection.row_factory = sqlite3.Row
    return connection


def _one(connection: sqlite3.Connection, table: str, column: str, value: str) -> Row:
    return next(_all(connection, table, column, value))


def _all(connection: sqlite3.Connection, table: str, column: str, value: str) -> Iterator[Row]:
    query = f"SELECT * FROM {table} WHERE {column} = ?"
    return (dict(row) for row in connection.execute(query, (value,)).fetchall())


def _copy(connection: sqlite3.Connection, table: str, original: Row, changes: Iterable[Row]) -> None:
    """Rows like the original but for what changes, some thousands a transaction: services write meanwhile."""
    names = ", ".join(f'"{name}"' for name in original)
    marks = ", ".join("?" * len(original))
    rows = [tuple((original | change).values()) for change in changes]
    for begin in range(0, len(rows), _ROWS):
        with connection:
            connection.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})", rows[begin : begin + _ROWS]
            )
