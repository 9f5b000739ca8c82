"""Resource classes and traits: names."""

from typing import Any, TypeVar

from google.protobuf.empty_pb2 import Empty

from mesh import clock
from mesh.caller import current
from services.placement.api.units import Units
from services.placement.store import names
from weft.placement.v1 import class_service_pb2 as pb
from weft.placement.v1.class_service_pb2_grpc import ClassServiceServicer
from weft.placement.v1.resources_pb2 import ResourceClass, Trait

N = TypeVar("N", ResourceClass, Trait)


class Classes(ClassServiceServicer):
    """weft.placement.v1.ClassService."""

    def __init__(self, units: Units) -> None:
        self._units = units

    async def ListResourceClasses(
        self, request: pb.ListResourceClassesRequest, context: Any
    ) -> pb.ListResourceClassesResponse:
        """A page of resource classes."""
        rows, more = await self._units.database.read(names.listed, names.CLASSES, request, current())
        found = [_named(ResourceClass, row) for row in rows]
        return pb.ListResourceClassesResponse(resource_classes=found, next_page_token=more)

    async def CreateResourceClass(
        self, request: pb.CreateResourceClassRequest, context: Any
    ) -> ResourceClass:
        """Makes a resource class, or finds it."""

        def do(unit: Any) -> ResourceClass:
            names.make(unit, names.CLASSES, [request.name])
            return _named(ResourceClass, names.get(unit, names.CLASSES, request.name))

        return await self._units.change(request, ResourceClass, do)

    async def DeleteResourceClass(self, request: pb.DeleteResourceClassRequest, context: Any) -> Empty:
        """Deletes a resource class."""
        return await self._removed(request, names.CLASSES)

    async def ListTraits(self, request: pb.ListTraitsRequest, context: Any) -> pb.ListTraitsResponse:
        """A page of traits."""
        rows, more = await self._units.database.read(names.listed, names.TRAITS, request, current())
        found = [_named(Trait, row) for row in rows]
        return pb.ListTraitsResponse(traits=found, next_page_token=more)

    async def CreateTrait(self, request: pb.CreateTraitRequest, context: Any) -> Trait:
        """Makes a trait, or finds it."""

        def do(unit: Any) -> Trait:
            names.make(unit, names.TRAITS, [request.name])
            return _named(Trait, names.get(unit, names.TRAITS, request.name))

        return await self._units.change(request, Trait, do)

    async def DeleteTrait(self, request: pb.DeleteTraitRequest, context: Any) -> Empty:
        """Deletes a trait."""
        return await self._removed(request, names.TRAITS)

    async def _removed(self, request: Any, kind: Any) -> Empty:
        def do(unit: Any) -> Empty:
            names.remove(unit, kind, request.name)
            return Empty()

        return await self._units.change(request, Empty, do)


def _named(kind: type[N], row: Any) -> N:
    return kind(name=row.name, standard=row.standard, created_at=clock.to_proto(row.created_at))
