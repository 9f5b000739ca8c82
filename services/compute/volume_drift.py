"""The volumes that a server lists, that its guest has and that block keeps for it: they should be the same.

An entry of the list that neither the guest nor block knows is nobody's, and is removed. What block alone
keeps is block's to release. Every other difference is told to the operator: somebody may be writing to that
volume.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from mesh.errors import CloudError
from mesh.lists import walk
from mesh.warnings import Finding, Warnings
from services.compute import holders
from services.compute.flows.app import App
from services.compute.flows.attachments import attachments
from services.compute.store import holdings, hosts, servers
from weft.block.v1.attachment_service_pb2 import ListAttachmentsRequest

_log = logging.getLogger(__name__)


async def compare(app: App, warnings: Warnings) -> None:
    """One round over the hosts that are up. Servers that something is under way on, or that change
    meanwhile, are left for the next.
    """
    for host_id, host in (await app.database.read(hosts.all_)).items():
        if host.status == "UP":
            try:
                await _compare(app, warnings, host_id)
            except CloudError as error:
                _log.warning("the volumes on host %s could not be compared: %s", host_id, error.message)


async def _compare(app: App, warnings: Warnings, host_id: str) -> None:
    rows = {row.id: row for row in await app.database.read(servers.on_host, host_id) if not row.operation_id}
    guests = {guest.server_id: guest for guest in await holders.guests_on(app, host_id)}
    kept = await _kept(app)
    after = await app.database.read(holdings.by_id, list(rows))
    found: list[Finding] = []
    for id, row in rows.items():
        if id in after and after[id].revision == row.revision:
            nobodys, drift = _differences(row, guests.get(id), kept)
            found.extend(drift)
            if nobodys and await app.database.write(holdings.unlist, row, nobodys):
                _log.warning("server %s listed attachments that nobody has: %s", id, ", ".join(nobodys))
    await warnings.tell(f"volumes of {host_id}", found)


async def _kept(app: App) -> dict[str, str]:
    """All attachments of block: their servers."""
    listed = walk(attachments(app.peers).ListAttachments, ListAttachmentsRequest(), "attachments")
    return {each.id: each.server_id async for each in listed}


def _differences(row: Any, guest: Any, kept: Mapping[str, str]) -> tuple[list[str], list[Finding]]:
    """Entries of the list that nobody knows, and what else is not as it should be."""
    listed = {volume["attachment_id"]: volume["volume_id"] for volume in row.volumes}
    had = {volume.attachment_id: volume.volume_id for volume in guest.volumes} if guest else {}
    nobodys = [id for id in listed if id not in had and kept.get(id) != row.id]
    return nobodys, list(_drift(row, listed, had, kept)) if guest else []


def _drift(
    row: Any, listed: Mapping[str, str], had: Mapping[str, str], kept: Mapping[str, str]
) -> Iterator[Finding]:
    for id, volume_id in {**listed, **had}.items():
        by_block = kept.get(id) == row.id
        if id in had and id not in listed:
            what = "the guest has it, but the server does not list it"
        elif id in had and not by_block:
            what = "the guest has it, but block would give it to another: detach it"
        elif id not in had and by_block:
            what = "the server lists it, but the guest does not have it: detach it, and attach it again"
        else:
            continue
        message = f"The volume {volume_id} of server {row.id}: {what}."
        yield Finding("VOLUME_DRIFT", "volume", volume_id, message, row.host_id)
