"""Contents that the cloud fetches itself: Glance's interoperable import, and its tasks."""

from typing import Any

from starlette.responses import Response

from gateway.openstack import times
from gateway.openstack.call import Call, field, refuse_unknown
from gateway.openstack.faults import Refusal
from gateway.openstack.image.documents import IMPORT_METHODS, WEB_DOWNLOAD
from gateway.openstack.image.images import get
from mesh.lists import walk
from weft.image.v1.image_service_pb2 import ImportImageRequest
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.operation.v1 import operation_pb2 as pb

# There is one store, which all images are in.
_STORES = ("all_stores", "all_stores_must_succeed")
_STATUSES = {
    pb.OPERATION_STATE_PENDING: "pending",
    pb.OPERATION_STATE_SUCCEEDED: "success",
    pb.OPERATION_STATE_FAILED: "failure",
    pb.OPERATION_STATE_CANCELLED: "failure",
}


async def methods(call: Call) -> dict[str, Any]:
    """GET /v2/info/import."""
    said = {"description": "Import methods available.", "type": "array", "value": list(IMPORT_METHODS)}
    return {"import-methods": said}


async def begin(call: Call) -> Response:
    """POST /v2/images/{id}/import: a queued image's content is fetched from an address."""
    body = await call.body()
    refuse_unknown(body, {"method", *_STORES})
    for name in _STORES:
        field(body, name, bool, False)
    method = field(body, "method", dict)
    refuse_unknown(method, {"name", "uri"})
    if field(method, "name", str) != WEB_DOWNLOAD:
        raise Refusal(400, f"The only import method is {WEB_DOWNLOAD}.")
    request = ImportImageRequest(id=call.params["id"], uri=field(method, "uri", str))
    image = await call.stub(ImageServiceStub).ImportImage(request)
    # By which the image's tasks tell what became of it.
    return Response(None, 202, {"x-openstack-request-id": _request_id(image.operation_id)})


async def tasks(call: Call) -> dict[str, Any]:
    """GET /v2/images/{id}/tasks: its imports, newest first; all else is done when it is answered."""
    asked = pb.ListOperationsRequest(target_id=(await get(call)).id, kind="image.import")
    stub = call.stub(OperationServiceStub)
    return {"tasks": [_task(each) async for each in walk(stub.ListOperations, asked, "operations")]}


def _task(operation: pb.Operation) -> dict[str, Any]:
    """The address is not told: it may be one that is good for whoever knows it."""
    method = {"name": WEB_DOWNLOAD}
    return {
        "id": operation.id,
        "type": "api_image_import",
        "status": _STATUSES.get(operation.state, "processing"),
        "owner": operation.project_id,
        "user_id": operation.user_id,
        "image_id": operation.target_id,
        "request_id": _request_id(operation.id),
        "input": {"image_id": operation.target_id, "import_req": {"method": method}},
        "result": None,
        "message": operation.error.message,
        "created_at": times.seconds(operation.created_at),
        "updated_at": times.seconds(operation.updated_at),
        "expires_at": None,
        "deleted_at": None,
        "deleted": False,
    }


def _request_id(operation_id: str) -> str:
    return f"req-{operation_id}"
