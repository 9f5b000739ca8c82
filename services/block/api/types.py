"""Volume types."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import current
from mesh.errors import invalid
from services.block import messages, store
from services.block.api.base import Api
from weft.block.v1 import resources_pb2 as pb
from weft.block.v1 import volume_type_service_pb2 as verbs
from weft.block.v1 import volume_type_service_pb2_grpc

_FIELDS = ("name", "description", "public", "default", "extra_specs")


class VolumeTypeApi(Api, volume_type_service_pb2_grpc.VolumeTypeServiceServicer):
    """weft.block.v1.VolumeTypeService."""

    async def GetVolumeType(self, request: verbs.GetVolumeTypeRequest, context: Any) -> pb.VolumeType:
        reach = current().reach
        return messages.volume_type(await self._database.peek(store.types.get, request.id, reach))

    async def ListVolumeTypes(
        self, request: verbs.ListVolumeTypesRequest, context: Any
    ) -> verbs.ListVolumeTypesResponse:
        found, token = await self._database.read(store.types.page, request, current())
        types = map(messages.volume_type, found)
        return verbs.ListVolumeTypesResponse(volume_types=types, next_page_token=token)

    async def CreateVolumeType(self, request: verbs.CreateVolumeTypeRequest, context: Any) -> pb.VolumeType:
        values = {
            "name": request.name,
            "description": request.description,
            "public": not request.private,
            "default": request.default,
            "backend": request.backend,
            "extra_specs": dict(request.extra_specs),
        }
        return await self._mutate(
            request, pb.VolumeType, lambda unit: messages.volume_type(store.types.create(unit, values))
        )

    async def UpdateVolumeType(self, request: verbs.UpdateVolumeTypeRequest, context: Any) -> pb.VolumeType:
        values = masks.apply(request.update_mask, request.volume_type, _FIELDS)
        if values.get("name") == "":
            raise invalid("volume_type.name", "cannot be empty")

        def change(unit: Any) -> pb.VolumeType:
            changed = store.types.change(unit, request.id, request.expected_revision, values)
            return messages.volume_type(changed)

        return await self._mutate(request, pb.VolumeType, change)

    async def DeleteVolumeType(self, request: verbs.DeleteVolumeTypeRequest, context: Any) -> Empty:
        def delete(unit: Any) -> None:
            store.types.remove(unit, request.id, request.expected_revision)

        return await mutation.delete(self._database, request, delete)
