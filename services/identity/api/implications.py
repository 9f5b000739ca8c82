"""Which roles bring which others."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import mutation
from mesh.caller import current
from mesh.database import Database
from services.identity.api.roles import seen
from services.identity.store import implications
from weft.identity.v1 import implication_service_pb2 as pb
from weft.identity.v1.implication_service_pb2_grpc import ImplicationServiceServicer


class Implications(ImplicationServiceServicer):
    """weft.identity.v1.ImplicationService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ListImplications(
        self, request: pb.ListImplicationsRequest, context: Any
    ) -> pb.ListImplicationsResponse:
        """A page of the implications of the roles that the caller sees."""
        caller = current()
        rows, more = await self._database.read(implications.listed, request, caller, seen(caller))
        return pb.ListImplicationsResponse(implications=map(_message, rows), next_page_token=more)

    async def CreateImplication(self, request: pb.CreateImplicationRequest, context: Any) -> pb.Implication:
        """Who has the one role has the other."""

        def do(unit: Any) -> pb.Implication:
            return _message(implications.create(unit, request.role_id, request.implied_role_id))

        return await mutation.change(self._database, request, pb.Implication, do)

    async def DeleteImplication(self, request: pb.DeleteImplicationRequest, context: Any) -> Empty:
        """No longer, unless by another way."""

        def do(unit: Any) -> Empty:
            implications.remove(unit, request.role_id, request.implied_role_id)
            return Empty()

        return await mutation.change(self._database, request, Empty, do)


def _message(row: Any) -> pb.Implication:
    return pb.Implication(
        role_id=row.role_id,
        role_name=row.role_name,
        implied_role_id=row.implied_role_id,
        implied_role_name=row.implied_role_name,
    )
