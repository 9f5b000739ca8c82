"""Rows of compute as messages of its contract, and the values that a message asks to keep."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mesh import clock
from services.compute.model import host_fingerprint
from weft.compute.v1.resources_pb2 import (
    Flavor,
    Host,
    HostStatus,
    KeyPair,
    LockHolder,
    Server,
    ServerGroup,
    ServerGroupPolicy,
    ServerLock,
    ServerPort,
    ServerResize,
    ServerStatus,
    ServerVolume,
)

_FLAVOR_FIELDS = (
    "id",
    "name",
    "vcpus",
    "memory_mib",
    "disk_gib",
    "ephemeral_gib",
    "description",
    "public",
    "disabled",
    "extra_specs",
    "revision",
)
_HOST_FIELDS = (
    "id",
    "name",
    "address",
    "disabled",
    "disabled_reason",
    "hypervisor",
    "versions",
    "vcpus",
    "memory_mib",
    "disk_gib",
    "availability_zone",
    "epoch",
    "revision",
)
_SERVER_FIELDS = (
    "id",
    "name",
    "project_id",
    "user_id",
    "status_reason",
    "image_id",
    "key_name",
    "description",
    "metadata",
    "tags",
    "config_drive",
    "availability_zone",
    "host_name",
    "access_ipv4",
    "access_ipv6",
    "revision",
)


def _picked(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _stamps(row: Any) -> dict[str, Any]:
    return {"created_at": clock.to_proto(row.created_at), "updated_at": clock.to_proto(row.updated_at)}


def flavor(row: Any) -> Flavor:
    """A flavor."""
    return Flavor(**_picked(row, _FLAVOR_FIELDS), **_stamps(row))


def flavor_copy(row: Any) -> dict[str, Any]:
    """What a server keeps of the flavor that it was made with."""
    return _picked(row, _FLAVOR_FIELDS)


def key_pair(row: Any) -> KeyPair:
    """A key pair, without its private half."""
    fields = _picked(row, ("id", "name", "user_id", "public_key", "fingerprint", "revision"))
    return KeyPair(**fields, **_stamps(row))


def host(row: Any) -> Host:
    """A host."""
    status = HostStatus.Value(f"HOST_STATUS_{row.status}")
    seen = clock.to_proto(row.last_seen_at)
    return Host(**_picked(row, _HOST_FIELDS), **_stamps(row), status=status, last_seen_at=seen)


def server(row: Any) -> Server:
    """A server as administrators see it; `for_tenants` takes from it what others may not see."""
    return Server(
        **_picked(row, _SERVER_FIELDS),
        **_stamps(row),
        status=ServerStatus.Value(f"SERVER_STATUS_{row.status}"),
        operation_id=row.operation_id or "",
        flavor=Flavor(**row.flavor),
        ports=[_port(port) for port in row.ports],
        volumes=[_volume(volume) for volume in row.volumes],
        server_group_id=row.server_group_id or "",
        host_id=row.host_id or "",
        host_fingerprint=host_fingerprint(row.project_id, row.host_id),
        launched_at=clock.to_proto(row.launched_at),
        lock=_lock(row.lock) if row.lock else None,
        resize=_resize(row.resize) if row.resize else None,
    )


def server_group(row: Any, server_ids: Iterable[str]) -> ServerGroup:
    """A group and its servers."""
    fields = _picked(row, ("id", "name", "project_id", "user_id", "max_servers_per_host", "revision"))
    policy = ServerGroupPolicy.Value(f"SERVER_GROUP_POLICY_{row.policy}")
    return ServerGroup(**fields, **_stamps(row), policy=policy, server_ids=server_ids)


def for_tenants(message: Server) -> Server:
    """The same message without what only administrators see."""
    message.ClearField("host_id")
    message.ClearField("host_name")
    if message.HasField("resize"):
        message.resize.ClearField("old_host_id")
        message.resize.ClearField("old_host_name")
    return message


def _lock(lock: Mapping[str, Any]) -> ServerLock:
    return ServerLock(
        holder=LockHolder.Value(f"LOCK_HOLDER_{lock['holder'].upper()}"),
        user_id=lock["user_id"],
        reason=lock["reason"],
        locked_at=clock.to_proto(datetime.fromisoformat(lock["at"])),
    )


def _resize(before: Mapping[str, Any]) -> ServerResize:
    return ServerResize(
        old_flavor=Flavor(**before["flavor"]),
        old_host_id=before["host_id"],
        old_host_name=before["host_name"],
        resized_at=clock.to_proto(datetime.fromisoformat(before["at"])),
    )


def _port(port: Mapping[str, Any]) -> ServerPort:
    names = ("port_id", "network_id", "mac_address", "fixed_ips")
    return ServerPort(**{name: port[name] for name in names})


def _volume(volume: Mapping[str, Any]) -> ServerVolume:
    names = ("volume_id", "attachment_id", "device", "delete_on_termination", "boot")
    return ServerVolume(**{name: volume[name] for name in names})
