"""Who has which volume: servers by their rows, guests by what their hosts say."""

from collections.abc import Collection

from mesh.together import all_of
from services.compute.flows.app import App
from services.compute.nodes import reaching
from services.compute.store import hosts
from services.compute.store.holdings import listing
from weft.compute.v1.host_service_pb2 import AttachmentHolder
from weft.node.v1.guest_service_pb2 import ListGuestsRequest
from weft.node.v1.resources_pb2 import Guest


async def find(app: App, attachment_ids: Collection[str], host_id: str) -> list[AttachmentHolder]:
    """Who has these attachments; hosts (one, or all where `host_id` is empty) are asked for the others.

    A row is looked at again after the guests: what is attached meanwhile is in the guest first, and what is
    detached is on the server's list last. Raises HOST_UNAVAILABLE.
    """
    listed = await app.database.read(listing, attachment_ids)
    if left := set(attachment_ids) - listed.keys():
        had = await _in_guests(app, left, host_id)
        listed |= await app.database.read(listing, left)
        by_guests = [had[id] for id in had.keys() - listed.keys()]
    else:
        by_guests = []
    by_rows = [AttachmentHolder(attachment_id=a, server_id=s, listed=True) for a, s in listed.items()]
    return by_rows + by_guests


async def guests_on(app: App, host_id: str) -> list[Guest]:
    """The guests of a host. Raises HOST_UNAVAILABLE."""
    with reaching(host_id):
        stub = await app.nodes.guests(host_id)
        return list((await stub.ListGuests(ListGuestsRequest(), timeout=20)).guests)


async def _in_guests(app: App, wanted: set[str], host_id: str) -> dict[str, AttachmentHolder]:
    asked = [host_id] if host_id else list(await app.database.read(hosts.all_))
    living = [id for id in asked if not await app.nodes.written_off(id)]
    answers = await all_of(guests_on(app, id) for id in living)
    return {
        volume.attachment_id: AttachmentHolder(
            attachment_id=volume.attachment_id, server_id=guest.server_id, host_id=id
        )
        for id, guests in zip(living, answers, strict=True)
        for guest in guests
        for volume in guest.volumes
        if volume.attachment_id in wanted
    }
