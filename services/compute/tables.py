"""The tables of the compute service."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from mesh import clock, ids, tables
from mesh.columns import Bytes, Id, Json, Timestamp, resource_columns

metadata = MetaData()
tables.add_to(metadata)
operations = metadata.tables["operations"]


def _stamps() -> list[Column[Any]]:
    return [
        Column("created_at", Timestamp, nullable=False, default=clock.now),
        Column("updated_at", Timestamp, nullable=False, default=clock.now),
        Column("revision", BigInteger, nullable=False, default=1),
    ]


# A flavor's id may be what an operator chose.
_FlavorId = String(255)

flavors = Table(
    "flavors",
    metadata,
    Column("id", _FlavorId, primary_key=True, default=ids.new),
    Column("name", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("disk_gib", Integer, nullable=False),
    Column("ephemeral_gib", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("public", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("extra_specs", Json, nullable=False),
    *_stamps(),
)

flavor_access = Table(
    "flavor_access",
    metadata,
    Column("flavor_id", _FlavorId, primary_key=True),
    Id("project_id", primary_key=True),
)

key_pairs = Table(
    "key_pairs",
    metadata,
    Id("id", primary_key=True, default=ids.new),
    Id("user_id", nullable=False),
    Column("name", String(255), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("fingerprint", String(47), nullable=False),
    *_stamps(),
    UniqueConstraint("user_id", "name", name="key_pairs_by_user"),
    info={"resource_type": "key_pair"},
)

# Ports and volumes of a server are few, belong to it alone and are always read with it: they are lists in its
# row, so that a page of servers is one query. `guest_state` is what the host last said of its guest.
servers = Table(
    "servers",
    metadata,
    *resource_columns(),
    Id("user_id", nullable=False),
    Column("flavor_id", _FlavorId, nullable=False, index=True),
    Column("flavor", Json, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Id("image_id", nullable=False, index=True),
    Column("key_name", String(255), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("security_groups", Json, nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("config_drive", Boolean, nullable=False),
    Column("availability_zone", String(255), nullable=False),
    Id("host_id", nullable=True, index=True),
    Column("host_name", String(255), nullable=False, default=""),
    Column("ports", Json, nullable=False, default=list),
    Column("volumes", Json, nullable=False, default=list),
    Column("guest_state", String(16), nullable=False, default=""),
    Column("guest_state_at", Timestamp, nullable=True),
    Column("launched_at", Timestamp, nullable=True),
    Column("metadata_due", Boolean, nullable=False, default=False),
    # What it was before a resize that is not confirmed yet ({}: none), and the consumer in placement that
    # holds what the resize needs besides.
    Column("resize", Json, nullable=False, default=dict),
    Id("spare_claim_id", nullable=True, index=True),
    Column("lock", Json, nullable=False, default=dict),  # {} where it is not locked
    Column("addresses", Text, nullable=False, default=""),  # of its ports, each between spaces: to look for
    # What its user says that it is reached at.
    Column("access_ipv4", String(15), nullable=False, default="", server_default=""),
    Column("access_ipv6", String(45), nullable=False, default="", server_default=""),
    Id("server_group_id", nullable=True, index=True),
    Index("servers_by_age", "created_at", "id"),
    Index("servers_by_project_and_age", "project_id", "created_at", "id"),
)

# Apart from the servers, so that nothing which reads those carries what a tenant put in here.
user_data = Table(
    "user_data",
    metadata,
    Id("server_id", primary_key=True),
    Bytes("content", nullable=False),
)

server_groups = Table(
    "server_groups",
    metadata,
    Id("id", primary_key=True, default=ids.new),
    Column("name", String(255), nullable=False),
    Id("project_id", nullable=False),
    Id("user_id", nullable=False),
    Column("policy", String(32), nullable=False),
    Column("max_servers_per_host", Integer, nullable=False),
    *_stamps(),
    Index("server_groups_by_project_and_age", "project_id", "created_at", "id"),
    info={"resource_type": "server_group"},
)

# Where servers of groups are, will be when their boot ends, or may be once a resize is decided on.
server_places = Table(
    "server_places",
    metadata,
    Id("server_id", primary_key=True),
    Id("host_id", primary_key=True),
    Id("server_group_id", nullable=False, index=True),
)

# What guests have left for their owners, encrypted for them.
passwords = Table(
    "passwords",
    metadata,
    Id("server_id", primary_key=True),
    Column("encrypted", Text, nullable=False),
)

# `confirmed_epoch` is the last that the host's agent has on its disk, as its heartbeat shows; `place` is
# where that agent is.
hosts = Table(
    "hosts",
    metadata,
    Id("id", primary_key=True),
    Column("name", String(255), nullable=False),
    Column("address", String(255), nullable=False),
    Column("status", String(32), nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("disabled_reason", Text, nullable=False, default=""),
    Column("hypervisor", String(32), nullable=False),
    Column("versions", Json, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_gib", BigInteger, nullable=False),
    Column("free_disk_bytes", BigInteger, nullable=False, default=0),
    Column("availability_zone", String(255), nullable=False, default=""),
    Column("epoch", BigInteger, nullable=False),
    Column("last_seen_at", Timestamp, nullable=False),
    Column("confirmed_epoch", BigInteger, nullable=False, default=0, server_default="0"),
    Column("place", String(64), nullable=False, default="", server_default=""),
    *_stamps(),
)
