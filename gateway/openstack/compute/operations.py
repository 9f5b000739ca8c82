"""Operations of compute that an answer waits for, where Nova answers with what it has done already."""

import asyncio

from gateway.openstack.call import Call
from weft.compute.v1 import operation_service_pb2_grpc
from weft.operation.v1 import operation_pb2

# Seconds.
_PATIENCE = 30.0


async def ended(call: Call, operation_id: str) -> bool:
    """Whether the operation has ended, which is waited for a while."""
    watch = call.stub(operation_service_pb2_grpc.OperationServiceStub).WatchOperation
    try:
        async with asyncio.timeout(_PATIENCE):
            async for _ in watch(operation_pb2.WatchOperationRequest(id=operation_id)):
                pass
    except TimeoutError:
        return False
    return True
