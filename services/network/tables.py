"""Tables of the network service."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from mesh import tables as mesh_tables
from mesh.columns import Bytes, Id, Json, Timestamp, resource_columns

TABLES = MetaData()
mesh_tables.add_to(TABLES)
_LONG_WORK = ("status", "status_reason", "operation_id")


def _columns(*without: str) -> list[Column[Any]]:
    """A resource's columns and its description."""
    kept = [column for column in resource_columns() if column.name not in without]
    return [*kept, Column("description", Text, nullable=False, default="")]


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _list(name: str) -> Column[Any]:
    return Column(name, Json, nullable=False)


def _tags() -> Column[Any]:
    return Column("tags", Json, nullable=False, default=list)


networks = Table(
    "networks",
    TABLES,
    *_columns(*_LONG_WORK),
    Column("type", String(16), nullable=False),
    Column("segmentation_id", Integer, unique=True),
    Column("physical_network", String(255), unique=True),
    Column("mtu", Integer, nullable=False),
    _flag("shared"),
    _flag("external"),
    _flag("admin_state_up"),
    _flag("port_security_enabled"),
    _list("tags"),
)

subnets = Table(
    "subnets",
    TABLES,
    *_columns(*_LONG_WORK),
    Id("network_id", ForeignKey("networks.id"), nullable=False, index=True),
    Column("ip_version", Integer, nullable=False),
    Column("cidr", String(64), nullable=False),
    Column("gateway_ip", String(64), nullable=False),
    _flag("dhcp_enabled"),
    _list("dns_nameservers"),
    _list("allocation_pools"),
    _list("host_routes"),
    _tags(),
)

ports = Table(
    "ports",
    TABLES,
    *_columns(),
    Id("network_id", ForeignKey("networks.id"), nullable=False),
    Column("mac_address", String(17), nullable=False),
    _flag("port_security_enabled"),
    _list("allowed_address_pairs"),
    _flag("admin_state_up"),
    Column("device_owner", String(255), nullable=False),
    Column("device_id", String(36), nullable=False, index=True),
    Column("host_id", String(36), nullable=False, index=True),
    Column("wire_revision", BigInteger, nullable=False),
    _list("tags"),
    UniqueConstraint("network_id", "mac_address"),
)

# That one address of a subnet has one port is this table's key: nothing else keeps two from taking it.
fixed_ips = Table(
    "fixed_ips",
    TABLES,
    Id("subnet_id", ForeignKey("subnets.id"), primary_key=True),
    Bytes("packed", primary_key=True),
    Column("ip_address", String(64), nullable=False, index=True),
    Id("port_id", ForeignKey("ports.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
)

security_groups = Table(
    "security_groups",
    TABLES,
    *_columns(*_LONG_WORK),
    _tags(),
    info={"resource_type": "security_group"},
)

security_group_rules = Table(
    "security_group_rules",
    TABLES,
    *_columns("name", *_LONG_WORK),
    Id("security_group_id", ForeignKey("security_groups.id", ondelete="CASCADE"), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("ip_version", Integer, nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("port_min", Integer),
    Column("port_max", Integer),
    Column("remote_cidr", String(64), nullable=False),
    Id("remote_group_id", ForeignKey("security_groups.id", ondelete="CASCADE"), index=True),
    Column("signature", String(255), nullable=False),
    UniqueConstraint("security_group_id", "signature"),
    info={"resource_type": "security_group_rule"},
)

port_security_groups = Table(
    "port_security_groups",
    TABLES,
    Id("port_id", ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    Id("security_group_id", ForeignKey("security_groups.id"), primary_key=True, index=True),
)

routers = Table(
    "routers",
    TABLES,
    *_columns("status", "status_reason"),
    _flag("admin_state_up"),
    _list("routes"),
    Id("gateway_network_id", ForeignKey("networks.id"), index=True),
    _flag("snat_enabled"),
    Column("host_id", String(36), nullable=False, index=True),
    _tags(),
)

floating_ips = Table(
    "floating_ips",
    TABLES,
    *_columns("name", "status", "status_reason"),
    Id("network_id", ForeignKey("networks.id"), nullable=False, index=True),
    Column("address", String(64), nullable=False),
    Id("port_id", ForeignKey("ports.id")),
    Column("fixed_ip", String(64), nullable=False),
    Id("router_id", ForeignKey("routers.id"), index=True),
    _tags(),
    # One address of a port has at most one floating IP; those that lead nowhere have no port.
    UniqueConstraint("port_id", "fixed_ip"),
    info={"resource_type": "floating_ip"},
)

# Hosts that have asked for their state: by which stream of which process, and since when by none.
# `confirmed`: up to which revision they have all in their kernels but what `trouble` names, where
# `confirming` is their stream: an older version of this service, which may serve it next, hears of neither.
hosts = Table(
    "hosts",
    TABLES,
    Id("id", primary_key=True),
    Column("vtep_address", String(64), nullable=False),
    _list("physical_networks"),
    Id("listener_id", nullable=False),
    Id("stream_id", nullable=False),
    Column("gone_at", Timestamp),
    Id("confirming"),
    Column("confirmed", BigInteger),
    Column("trouble", Json),
)

# Processes of this service that hold hosts' streams, and when each last gave a sign of life.
listeners = Table(
    "listeners",
    TABLES,
    Id("id", primary_key=True),
    Column("seen_at", Timestamp, nullable=False),
)
