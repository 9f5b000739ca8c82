"""Events: told to watchers in the same transaction as the change, and followed by the hosts' streams."""

from typing import Literal

from google.protobuf.empty_pb2 import Empty
from sqlalchemy import Connection

from mesh import outbox
from services.network import messages, model

_TYPES = {
    model.Network: "network",
    model.Subnet: "subnet",
    model.Port: "port",
    model.Router: "router",
    model.FloatingIp: "floating_ip",
    model.SecurityGroup: "security_group",
}
# An event of this type says only that whatever hosts have that depends on its resource id may have changed.
TOUCHED = "host_state"


def tell(
    connection: Connection, type: Literal["CREATED", "UPDATED", "DELETED"], resource: model.Resource
) -> None:
    """Tell of a change; the payload is the whole resource after it (before it, for DELETED)."""
    payload = messages.of(resource, full=True)
    resource_type = _TYPES[resource.__class__]
    outbox.append(connection, type, resource_type, resource.id, resource.project_id, payload)


def touch(connection: Connection, id: str) -> None:
    """Hosts that depend on `id` look again, though no resource that users watch has changed."""
    outbox.append(connection, "UPDATED", TOUCHED, id, "", Empty())
