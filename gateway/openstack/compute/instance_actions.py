"""What was done with a server: its operations."""

import uuid
from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.compute import servers
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from mesh.lists import walk
from weft.compute.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.operation.v1 import operation_pb2 as pb

# Nova's names of what the operations are; another's is its kind.
_NAMES = {"boot": "create", "pause": "pause", "snapshot": "createImage", "confirm": "confirmResize"}
_NAMES |= {"revert": "revertResize", "attach_port": "attach_interface", "detach_port": "detach_interface"}
_RESULTS = {pb.STEP_STATE_DONE: "Success", pb.STEP_STATE_FAILED: "Error", pb.STEP_STATE_UNDONE: "Error"}


def view(call: Call, one: pb.Operation) -> dict[str, Any]:
    """An operation as Nova tells of an action; its request's id is made of the operation's."""
    kind = one.kind.partition(".")[2]
    document = {
        "action": _NAMES.get(kind, kind),
        "instance_uuid": one.target_id,
        "message": one.error.message or None,
        "project_id": one.project_id,
        "request_id": f"req-{one.id}",
        "start_time": times.bare(one.created_at),
        "user_id": one.user_id,
    }
    return document | ({"updated_at": times.bare(one.updated_at)} if call.microversion >= (2, 58) else {})


async def index(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/os-instance-actions, newest first."""
    one = await servers.get(call)
    rpc = call.stub(OperationServiceStub).ListOperations
    found = walk(rpc, pb.ListOperationsRequest(target_id=one.id), "operations")
    return {"instanceActions": [view(call, each) async for each in found]}


async def show(call: Call) -> dict[str, Any]:
    """GET /servers/{id}/os-instance-actions/{request_id}."""
    one, id = await servers.get(call), call.params["request"].removeprefix("req-")
    try:
        request = pb.GetOperationRequest(id=str(uuid.UUID(id)))
    except ValueError as error:
        raise Refusal(404, f"There is no action {id}.") from error
    operation = await call.stub(OperationServiceStub).GetOperation(request)
    if operation.target_id != one.id:
        raise Refusal(404, f"There is no action {id} of this server.")
    events = [_event(step) for step in operation.steps if step.HasField("started_at")]
    return {"instanceAction": {**view(call, operation), "events": events}}


def _event(step: pb.Step) -> dict[str, Any]:
    return {
        "event": step.name,
        "start_time": times.bare(step.started_at),
        "finish_time": times.bare(step.ended_at) if step.HasField("ended_at") else None,
        "result": _RESULTS.get(step.state),
        "traceback": None,
    }


ROUTES = (
    Route("GET", "/v2.1/servers/{id}/os-instance-actions", index),
    Route("GET", "/v2.1/servers/{id}/os-instance-actions/{request}", show),
)
