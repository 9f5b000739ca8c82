"""Guests that no server has on the host where they are.

One whose server's deletion succeeded, or whose server's guest is seen on the host that the server is on, is
ours and superseded: a host that was written off has come back, or a call arrived after its flow was undone.
It is destroyed. Every other is left alone and told to the operator.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mesh.database import Connection
from mesh.errors import CloudError
from mesh.warnings import Finding, Warnings
from services.compute.flows.app import App
from services.compute.nodes import reaching
from services.compute.store import holdings
from weft.node.v1.guest_service_pb2 import DeleteGuestRequest, GetGuestRequest
from weft.node.v1.resources_pb2 import Guest

_log = logging.getLogger(__name__)


async def settle(
    app: App, warnings: Warnings, host_id: str, guests: Sequence[Guest], asked_at: datetime
) -> None:
    """Destroy or tell of the stray ones among the guests that the host had at that time."""
    ids = [guest.server_id for guest in guests]
    there, deleted = await app.database.read(_known, ids)
    found = []
    for id in sorted(ids):
        row = there.get(id)
        if row is not None and (_belongs(row, host_id) or row.updated_at >= asked_at):
            continue
        if id in deleted or (row is not None and await _is_elsewhere(app, row)):
            await _destroy(app, host_id, id)
        else:
            found.append(_unknown(host_id, id, row))
    await warnings.tell(f"guests of {host_id}", found)


def _known(connection: Connection, ids: list[str]) -> tuple[dict[str, Any], set[str]]:
    there = holdings.by_id(connection, ids)
    return there, holdings.deleted(connection, [id for id in ids if id not in there])


def _belongs(row: Any, host_id: str) -> bool:
    """While an operation is under way a server's guest may be on a host before its row says so, and while a
    resize waits to be confirmed the guest that it was is on the host that it was on.
    """
    return host_id in (row.host_id, row.resize.get("host_id")) or bool(row.operation_id)


async def _is_elsewhere(app: App, row: Any) -> bool:
    """Whether the host that the server is on has its guest."""
    if not row.host_id:
        return False
    try:
        with reaching(row.host_id):
            await (await app.nodes.guests(row.host_id)).GetGuest(GetGuestRequest(server_id=row.id))
    except CloudError as error:
        if error.reason in ("NOT_FOUND", "HOST_UNAVAILABLE"):
            return False
        raise
    return True


async def _destroy(app: App, host_id: str, server_id: str) -> None:
    _log.warning("host %s has a guest of server %s, which is superseded: destroyed", host_id, server_id)
    with reaching(host_id):
        stub = await app.nodes.guests(host_id)
        await stub.DeleteGuest(DeleteGuestRequest(server_id=server_id), timeout=60)


def _unknown(host_id: str, server_id: str, row: Any) -> Finding:
    which = "which is not there" if row is None else f"which is on host {row.host_id or '-'}"
    message = f"Host {host_id} has a guest of server {server_id}, {which}: it is left alone, and may run."
    return Finding("UNKNOWN_GUEST", "guest", server_id, message, host_id)
