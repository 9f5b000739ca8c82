"""A volume is attached to a server that is there, or detached from it.

flow                    step             does                              undo
server.attach_volume    reserve volume   reachable from the host           release it
                        attach in guest  hot-plugged where it runs         detach it
                        confirm volume   IN_USE; the commit point          -
server.detach_volume    begin detach     DETACHING                         IN_USE again
                        detach in guest  the commit point                  -
                        release volume   AVAILABLE                         -
"""

from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from mesh.database import Connection
from mesh.errors import CloudError
from mesh.flow import Flow, Run, Step
from services.compute.flows import endings
from services.compute.flows.app import GRACE
from services.compute.flows.attachments import attachments
from services.compute.nodes import reaching
from services.compute.store import servers
from weft.block.v1.attachment_service_pb2 import (
    AbortDetachRequest,
    BeginDetachRequest,
    ConfirmAttachmentRequest,
    ReleaseAttachmentRequest,
    ReserveAttachmentRequest,
)
from weft.node.v1.guest_service_pb2 import AttachVolumeRequest, DetachVolumeRequest
from weft.node.v1.resources_pb2 import GuestVolume

# A guest may take its time to let go of a disk.
_GUEST = 90.0


async def reserve(run: Run) -> dict[str, Any]:
    """Reserve it for the server; answer how the host reaches it."""
    answer = await attachments(run.app.peers).ReserveAttachment(
        ReserveAttachmentRequest(
            attachment_id=run.input["attachment_id"],
            volume_id=run.input["volume_id"],
            server_id=run.target_id,
            host_id=run.input["host_id"],
        )
    )
    return {"connection": MessageToDict(answer.connection)}


async def release(run: Run) -> None:
    """Release it, reserved or not."""
    request = ReleaseAttachmentRequest(attachment_id=run.input["attachment_id"])
    await attachments(run.app.peers).ReleaseAttachment(request)


async def attach_in_guest(run: Run) -> dict[str, Any]:
    """Give it to the guest; answer the device."""
    volume = GuestVolume(attachment_id=run.input["attachment_id"], volume_id=run.input["volume_id"])
    ParseDict(run.outputs["reserve volume"]["connection"], volume.connection)
    host_id = run.input["host_id"]
    with reaching(host_id):
        stub = await run.app.nodes.guests(host_id)
        request = AttachVolumeRequest(server_id=run.target_id, volume=volume)
        attached = await stub.AttachVolume(request, timeout=_GUEST)
    return {"device": attached.device}


async def detach_in_guest(run: Run) -> None:
    """Take it from the guest; DEADLINE_EXCEEDED when that does not let go. No guest has no volume."""
    host_id = run.input["host_id"]
    request = DetachVolumeRequest(server_id=run.target_id, attachment_id=run.input["attachment_id"])
    try:
        with reaching(host_id):
            await (await run.app.nodes.guests(host_id)).DetachVolume(request, timeout=_GUEST)
    except CloudError as error:
        if error.reason != "NOT_FOUND":
            raise


async def confirm(run: Run) -> None:
    """Say that the guest has it."""
    device = run.outputs["attach in guest"]["device"]
    request = ConfirmAttachmentRequest(attachment_id=run.input["attachment_id"], device=device)
    await attachments(run.app.peers).ConfirmAttachment(request)


async def begin_detach(run: Run) -> None:
    """Say that it is being taken away."""
    request = BeginDetachRequest(attachment_id=run.input["attachment_id"])
    await attachments(run.app.peers).BeginDetach(request)


async def abort_detach(run: Run) -> None:
    """Say that it was not taken away after all."""
    request = AbortDetachRequest(attachment_id=run.input["attachment_id"])
    await attachments(run.app.peers).AbortDetach(request)


def attached(connection: Connection, run: Run) -> None:
    """The server's row has it."""
    row = servers.find(connection, run.target_id, lock=True)
    volume = {key: run.input[key] for key in ("volume_id", "attachment_id", "delete_on_termination")}
    volume |= {"boot": False, "device": run.outputs["attach in guest"]["device"]}
    endings.succeed(connection, run, volumes=[*(row.volumes if row else []), volume])


def detached(connection: Connection, run: Run) -> None:
    """The server's row has it no longer."""
    row = servers.find(connection, run.target_id, lock=True)
    gone = run.input["attachment_id"]
    left = [volume for volume in (row.volumes if row else []) if volume["attachment_id"] != gone]
    endings.succeed(connection, run, volumes=left)


ATTACH = Flow(
    kind="server.attach_volume",
    target_type="server",
    steps=(
        Step("reserve volume", reserve, release, 120, grace=GRACE),
        Step("attach in guest", attach_in_guest, detach_in_guest, _GUEST),
        Step("confirm volume", confirm),
    ),
    deadline=600,
    commit="confirm volume",
    failed=endings.fail,
    finished=attached,
)
DETACH = Flow(
    kind="server.detach_volume",
    target_type="server",
    steps=(
        Step("begin detach", begin_detach, abort_detach),
        Step("detach in guest", detach_in_guest, None, _GUEST),
        Step("release volume", release, None, 120),
    ),
    deadline=600,
    commit="detach in guest",
    failed=endings.fail,
    finished=detached,
)
