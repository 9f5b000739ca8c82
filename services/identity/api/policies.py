"""Documents that say who may do what, for the programs that read them."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import clock, masks, mutation
from mesh.caller import current
from mesh.database import Database
from mesh.errors import invalid
from services.identity.store import policies
from weft.identity.v1 import policy_service_pb2 as pb
from weft.identity.v1.policy_service_pb2_grpc import PolicyServiceServicer


class Policies(PolicyServiceServicer):
    """weft.identity.v1.PolicyService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Any) -> pb.Policy:
        """One policy."""
        return _message(await self._database.read(policies.get, request.id))

    async def ListPolicies(self, request: pb.ListPoliciesRequest, context: Any) -> pb.ListPoliciesResponse:
        """A page of policies."""
        rows, more = await self._database.read(policies.listed, request, current())
        return pb.ListPoliciesResponse(policies=map(_message, rows), next_page_token=more)

    async def CreatePolicy(self, request: pb.CreatePolicyRequest, context: Any) -> pb.Policy:
        """A new policy."""
        values = {"type": request.type, "blob": request.blob}
        return await mutation.change(
            self._database, request, pb.Policy, lambda unit: _message(policies.create(unit, values))
        )

    async def UpdatePolicy(self, request: pb.UpdatePolicyRequest, context: Any) -> pb.Policy:
        """Changes a policy."""
        values = masks.apply(request.update_mask, request.policy, ["type", "blob"])
        for name, value in values.items():
            if not value:
                raise invalid(f"policy.{name}", "cannot be empty")

        def do(unit: Any) -> pb.Policy:
            return _message(policies.update(unit, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, pb.Policy, do)

    async def DeletePolicy(self, request: pb.DeletePolicyRequest, context: Any) -> Empty:
        """Deletes a policy."""
        return await mutation.delete(
            self._database, request, lambda unit: policies.remove(unit, request.id, request.expected_revision)
        )


def _message(row: Any) -> pb.Policy:
    return pb.Policy(
        id=row.id,
        type=row.type,
        blob=row.blob,
        created_at=clock.to_proto(row.created_at),
        updated_at=clock.to_proto(row.updated_at),
        revision=row.revision,
    )
