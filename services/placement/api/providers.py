"""Providers: what there is."""

from collections.abc import Callable
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids
from mesh.caller import current
from mesh.errors import CloudError, invalid
from services.placement.api import messages
from services.placement.api.units import Units
from services.placement.store import belongings, providers, whole
from weft.placement.v1 import provider_service_pb2 as pb
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceServicer
from weft.placement.v1.resources_pb2 import Provider


class Providers(ProviderServiceServicer):
    """weft.placement.v1.ProviderService."""

    def __init__(self, units: Units) -> None:
        self._units = units

    async def GetProvider(self, request: pb.GetProviderRequest, context: Any) -> Provider:
        """One provider."""
        return messages.provider(await self._units.database.read(whole.get, request.id))

    async def ListProviders(self, request: pb.ListProvidersRequest, context: Any) -> pb.ListProvidersResponse:
        """A page of providers."""
        found, more = await self._units.database.read(_page, request, current())
        return pb.ListProvidersResponse(providers=map(messages.provider, found), next_page_token=more)

    async def CreateProvider(self, request: pb.CreateProviderRequest, context: Any) -> Provider:
        """A new provider without anything."""
        id = request.id or ids.new()
        return await self._changed(
            request, id, lambda unit: providers.create(unit, id, request.name, request.parent_id)
        )

    async def UpdateProvider(self, request: pb.UpdateProviderRequest, context: Any) -> Provider:
        """Another name or parent, or none."""
        if request.clear_parent and request.parent_id:
            raise invalid("parent_id", "is given, and to be cleared")

        def do(unit: Any) -> None:
            providers.get(unit, request.id, request.generation)
            to_root = request.clear_parent
            providers.change(unit, request.id, request.name, request.parent_id, to_root=to_root)

        return await self._changed(request, request.id, do)

    async def DeleteProvider(self, request: pb.DeleteProviderRequest, context: Any) -> Empty:
        """Deletes a provider."""

        def do(unit: Any) -> Empty:
            try:
                providers.remove(unit, request.id, request.expected_revision)
            except CloudError as error:
                if not (request.allow_missing and error.reason == "NOT_FOUND"):
                    raise
            return Empty()

        return await self._units.change(request, Empty, do)

    async def SetInventories(self, request: pb.SetInventoriesRequest, context: Any) -> Provider:
        """Replaces all inventories."""
        wanted = messages.inventories(request.inventories)
        return await self._changed(
            request,
            request.id,
            lambda unit: belongings.set_inventories(unit, request.id, request.generation, wanted),
        )

    async def SetTraits(self, request: pb.SetTraitsRequest, context: Any) -> Provider:
        """Replaces all traits."""
        wanted = frozenset(request.traits)
        return await self._changed(
            request,
            request.id,
            lambda unit: belongings.set_traits(unit, request.id, request.generation, wanted),
        )

    async def SetAggregates(self, request: pb.SetAggregatesRequest, context: Any) -> Provider:
        """Replaces all aggregates."""
        wanted = frozenset(request.aggregate_ids)
        return await self._changed(
            request,
            request.id,
            lambda unit: belongings.set_aggregates(unit, request.id, request.generation, wanted),
        )

    async def SyncProvider(self, request: pb.SyncProviderRequest, context: Any) -> Provider:
        """Makes a provider be as described."""
        held, wanted = messages.inventories(request.inventories), frozenset(request.traits)
        return await self._changed(
            request,
            request.id,
            lambda unit: belongings.sync(unit, request.id, request.name, request.parent_id, held, wanted),
        )

    async def _changed(self, request: Any, id: str, do: Callable[[Any], None]) -> Provider:
        def changed(unit: Any) -> Provider:
            do(unit)
            return messages.provider(whole.get(unit, id))

        return await self._units.change(request, Provider, changed)


def _page(connection: Any, request: Any, caller: Any) -> tuple[list[Any], str]:
    found, more = providers.listed(connection, request, caller)
    return whole.load(connection, found), more
