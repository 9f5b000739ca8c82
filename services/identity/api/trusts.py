"""Trusts: a part of one's rights on a project, lent to another user."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import clock, mutation
from mesh.caller import current
from mesh.database import Database
from mesh.errors import invalid
from services.identity import handing_on
from services.identity.api import units
from services.identity.store import delegations
from services.identity.store.chains import Chain, Kind
from weft.identity.v1 import trust_service_pb2 as pb
from weft.identity.v1.trust_service_pb2_grpc import TrustServiceServicer


class Trusts(TrustServiceServicer):
    """weft.identity.v1.TrustService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetTrust(self, request: pb.GetTrustRequest, context: Any) -> pb.Trust:
        """One that the caller gave or was given, or of whom the caller administers."""
        caller = current()

        def find(connection: Any) -> pb.Trust:
            return _messages(connection, [handing_on.see(connection, caller, Kind.TRUST, request.id)])[0]

        return await self._database.read(find)

    async def ListTrusts(self, request: pb.ListTrustsRequest, context: Any) -> pb.ListTrustsResponse:
        """A page of those that the caller, or whom the caller administers, gave or was given; or all."""
        caller = current()

        def find(connection: Any) -> pb.ListTrustsResponse:
            user_id = handing_on.of_whom(connection, caller, request, "trusts")
            rows, more = delegations.trusts_of(connection, request, caller, user_id)
            return pb.ListTrustsResponse(trusts=_messages(connection, rows), next_page_token=more)

        return await self._database.read(find)

    async def CreateTrust(self, request: pb.CreateTrustRequest, context: Any) -> pb.Trust:
        """A new one, or one more in a row."""
        caller = current()
        end = units.moment("expires_at", request.expires_at) if request.HasField("expires_at") else None
        own = {
            "description": request.description,
            "trustee_id": request.trustee_user_id,
            "impersonate": request.impersonate,
            "uses_left": request.uses or None,
            "redelegation_left": request.redelegation,
        }

        def do(unit: Any) -> pb.Trust:
            values, chain = handing_on.prepare(unit, caller, Kind.TRUST, request.roles, end)
            _refuse_more(request, chain)
            return _messages(unit, [delegations.create(unit, Kind.TRUST, values | own)])[0]

        return await mutation.change(self._database, request, pb.Trust, do)

    async def DeleteTrust(self, request: pb.DeleteTrustRequest, context: Any) -> Empty:
        """Ends it with all that it was passed on to."""
        caller = current()
        return await mutation.delete(
            self._database,
            request,
            lambda unit: handing_on.end(unit, caller, Kind.TRUST, request.id, request.expected_revision),
        )


def _refuse_more(request: pb.CreateTrustRequest, chain: Chain | None) -> None:
    """Raises INVALID_ARGUMENT when a trust that is passed on would allow more than it does itself."""
    if chain is None or chain.leaf.kind != Kind.TRUST:
        return
    if request.redelegation >= chain.leaf.redelegation_left:
        left = chain.leaf.redelegation_left - 1
        raise invalid("redelegation", f"this trust may be passed on {left} times in a row after this one")
    if request.impersonate and not chain.leaf.impersonate:
        raise invalid("impersonate", "this trust does not")


def _messages(connection: Any, rows: list[Any]) -> list[pb.Trust]:
    names = delegations.role_names(connection, rows)
    return [
        pb.Trust(
            id=row.id,
            description=row.description,
            trustor_user_id=row.owner_id,
            trustee_user_id=row.trustee_id,
            impersonate=row.impersonate,
            project_id=row.project_id,
            roles=sorted(names[id] for id in row.role_ids if id in names),
            expires_at=clock.to_proto(row.expires_at),
            uses_left=row.uses_left,
            redelegation_left=row.redelegation_left,
            parent_id=row.parent_id or "",
            created_at=clock.to_proto(row.created_at),
            revision=row.revision,
        )
        for row in rows
    ]
