"""Allocations: who has what."""

from collections import Counter
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh.caller import current
from mesh.errors import invalid
from services.placement.api import messages
from services.placement.api.units import Units
from services.placement.model import Taken
from services.placement.store import allocations, belongings
from weft.placement.v1 import allocation_service_pb2 as pb
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceServicer
from weft.placement.v1.resources_pb2 import Consumer


class Allocations(AllocationServiceServicer):
    """weft.placement.v1.AllocationService."""

    def __init__(self, units: Units) -> None:
        self._units = units

    async def GetAllocations(self, request: pb.GetAllocationsRequest, context: Any) -> Consumer:
        """What one consumer has."""
        found = await self._units.database.read(allocations.get, request.consumer_id)
        return messages.consumer(found) if found else Consumer(id=request.consumer_id)

    async def SetAllocations(
        self, request: pb.SetAllocationsRequest, context: Any
    ) -> pb.SetAllocationsResponse:
        """Replaces what consumers have, and what providers have along with it."""
        wanted = [messages.claim(each) for each in request.consumers]
        if len({each.consumer_id for each in wanted}) < len(wanted):
            raise invalid("consumers", "one is there twice")
        held = {each.provider_id: messages.inventories(each.inventories) for each in request.inventories}
        if len(held) < len(request.inventories):
            raise invalid("inventories", "a provider is there twice")
        if not wanted and not held:
            raise invalid("consumers", "name one, or inventories to change")

        def do(unit: Any) -> pb.SetAllocationsResponse:
            for each in request.inventories:
                belongings.put_inventories(unit, each.provider_id, each.generation, held[each.provider_id])
            after = allocations.put(unit, wanted, force=request.force)
            for id, inventories in held.items():
                belongings.need_classes_in_use(unit, id, inventories)
            return pb.SetAllocationsResponse(consumers=map(messages.consumer, after))

        return await self._units.change(request, pb.SetAllocationsResponse, do)

    async def ClaimAllocations(self, request: pb.ClaimAllocationsRequest, context: Any) -> Consumer:
        """Claims the first way that has room."""
        wanted = messages.claim(request.consumer)
        ways = messages.ways(request)

        def do(unit: Any) -> tuple[Consumer, list[Taken]]:
            after, taken = allocations.claim(unit, wanted, ways)
            return messages.consumer(after), taken

        return await self._units.take(request, Consumer, do)

    async def DeleteAllocations(self, request: pb.DeleteAllocationsRequest, context: Any) -> Empty:
        """Takes everything from one consumer."""

        def do(unit: Any) -> tuple[Empty, list[Taken]]:
            return Empty(), allocations.remove(unit, request.consumer_id, request.operation_id)

        return await self._units.take(request, Empty, do)

    async def ListProviderAllocations(
        self, request: pb.ListProviderAllocationsRequest, context: Any
    ) -> pb.ListProviderAllocationsResponse:
        """A page of a provider's consumers."""
        found, more = await self._units.database.read(
            allocations.of_provider, request.provider_id, request, current()
        )
        return pb.ListProviderAllocationsResponse(
            consumers=map(messages.consumer, found), next_page_token=more
        )

    async def GetUsages(self, request: pb.GetUsagesRequest, context: Any) -> pb.GetUsagesResponse:
        """How much a project has."""
        found = await self._units.database.read(allocations.usages, request.project_id, request.user_id)
        together: Counter[str] = Counter()
        for each in found:
            together.update(each.amounts)
        by_type = [
            pb.TypeUsage(consumer_type=each.consumer_type, consumers=each.consumers, usages=each.amounts)
            for each in found
        ]
        return pb.GetUsagesResponse(usages=together, by_type=by_type)
