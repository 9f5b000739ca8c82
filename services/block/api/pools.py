"""Pools."""

from typing import Any

from mesh import masks
from mesh.caller import Caller, Kind, current
from mesh.errors import CloudError, invalid
from services.block import messages, store
from services.block.api.base import Api
from weft.block.v1 import pool_service_pb2 as verbs
from weft.block.v1 import pool_service_pb2_grpc
from weft.block.v1 import resources_pb2 as pb

_FIELDS = ("disabled", "availability_zone")


class PoolApi(Api, pool_service_pb2_grpc.PoolServiceServicer):
    """weft.block.v1.PoolService."""

    async def GetPool(self, request: verbs.GetPoolRequest, context: Any) -> pb.Pool:
        return messages.pool(await self._database.read(store.pools.get, request.id))

    async def ListPools(self, request: verbs.ListPoolsRequest, context: Any) -> verbs.ListPoolsResponse:
        found, token = await self._database.read(store.pools.page, request, current())
        return verbs.ListPoolsResponse(pools=map(messages.pool, found), next_page_token=token)

    async def UpdatePool(self, request: verbs.UpdatePoolRequest, context: Any) -> pb.Pool:
        values = masks.apply(request.update_mask, request.pool, _FIELDS)

        def change(unit: Any) -> pb.Pool:
            return messages.pool(store.pools.change(unit, request.id, request.expected_revision, values))

        return await self._mutate(request, pb.Pool, change)

    async def RegisterPool(self, request: verbs.RegisterPoolRequest, context: Any) -> pb.Pool:
        pool = request.pool
        if pool.backend not in self._app.drivers:
            message = f"This deployment has no driver for pools of the backend {pool.backend}."
            raise CloudError("UNSUPPORTED", message, feature=f"backend {pool.backend}")
        for name in ("id", "host_address"):
            if not getattr(pool, name):
                raise invalid(f"pool.{name}", "must be given")
        return messages.pool(await self._database.write(_register, pool, current()))


def _register(unit: Any, pool: pb.Pool, caller: Caller) -> Any:
    owner = store.pools.owner(unit, pool.id) or pool.host_id
    # A host speaks for its own pools: neither for another host's, nor takes one of another's over.
    if caller.kind is Kind.NODE and {pool.host_id, owner} != {caller.host_id}:
        message = f"The pool {pool.id} is not on the host that registers it."
        raise CloudError(
            "PERMISSION_DENIED", message, permission="block.pools.register", scope=caller.scope, role="node"
        )
    names = ("name", "backend", "host_id", "host_address", "capacity_bytes")
    return store.pools.register(unit, pool.id, {name: getattr(pool, name) for name in names})
