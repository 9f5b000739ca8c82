"""EC2 credentials: access keys for clients that sign their requests."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import clock, ids, mutation
from mesh.caller import current
from mesh.database import Database
from services.identity import handing_on, program_secrets
from services.identity.api import messages, units
from services.identity.api.tokens import signed
from services.identity.programs import Programs, access_key, sealed_for
from services.identity.sealing import Seal
from services.identity.store import delegations
from services.identity.store.chains import Kind
from weft.identity.v1 import ec2_credential_service_pb2 as pb
from weft.identity.v1.ec2_credential_service_pb2_grpc import Ec2CredentialServiceServicer
from weft.identity.v1.token_service_pb2 import CreateTokenResponse


class Ec2Credentials(Ec2CredentialServiceServicer):
    """weft.identity.v1.Ec2CredentialService."""

    def __init__(self, database: Database, programs: Programs, seal: Seal) -> None:
        self._database, self._programs, self._seal = database, programs, seal

    async def GetEc2Credential(self, request: pb.GetEc2CredentialRequest, context: Any) -> pb.Ec2Credential:
        """One's own, or one of whom the caller administers."""
        caller = current()

        def find(connection: Any) -> pb.Ec2Credential:
            return _messages(connection, [handing_on.see(connection, caller, Kind.EC2, request.id)])[0]

        return await self._database.read(find)

    async def ListEc2Credentials(
        self, request: pb.ListEc2CredentialsRequest, context: Any
    ) -> pb.ListEc2CredentialsResponse:
        """A page of one's own, or of a user's whom the caller administers."""
        caller = current()

        def find(connection: Any) -> pb.ListEc2CredentialsResponse:
            user_id = handing_on.whose(connection, caller, request.user_id)
            rows, more = delegations.of_owner(connection, Kind.EC2, request, caller, user_id)
            found = _messages(connection, rows)
            return pb.ListEc2CredentialsResponse(ec2_credentials=found, next_page_token=more)

        return await self._database.read(find)

    async def CreateEc2Credential(
        self, request: pb.CreateEc2CredentialRequest, context: Any
    ) -> pb.Ec2Credential:
        """A new one. The secret is added to the first answer only: what replays give is without it."""
        caller, id, secret = current(), ids.new(), program_secrets.new()
        end = units.moment("expires_at", request.expires_at) if request.HasField("expires_at") else None
        sealed = self._seal.close(secret.encode(), sealed_for(id))
        own = {"id": id, "description": request.description, "secret": sealed}

        def do(unit: Any) -> pb.Ec2Credential:
            values, _ = handing_on.prepare(unit, caller, Kind.EC2, request.roles, end)
            return _messages(unit, [delegations.create(unit, Kind.EC2, values | own)])[0]

        answer = await mutation.change(self._database, request, pb.Ec2Credential, do)
        if answer.id == id and not request.validate_only:
            answer.secret = secret
        return answer

    async def DeleteEc2Credential(self, request: pb.DeleteEc2CredentialRequest, context: Any) -> Empty:
        """Deletes it, and revokes its tokens."""
        caller = current()
        return await mutation.delete(
            self._database,
            request,
            lambda unit: handing_on.end(unit, caller, Kind.EC2, request.id, request.expected_revision),
        )

    async def CreateSignedToken(
        self, request: pb.CreateSignedTokenRequest, context: Any
    ) -> CreateTokenResponse:
        """A token for who signed a request that another service received."""
        return messages.issued(await self._programs.for_service(signed(request.signed)))


def _messages(connection: Any, rows: list[Any]) -> list[pb.Ec2Credential]:
    names = delegations.role_names(connection, rows)
    return [
        pb.Ec2Credential(
            id=row.id,
            access_key=access_key(row),
            description=row.description,
            user_id=row.owner_id,
            project_id=row.project_id,
            roles=sorted(names[id] for id in row.role_ids if id in names),
            expires_at=clock.to_proto(row.expires_at),
            parent_id=row.parent_id or "",
            created_at=clock.to_proto(row.created_at),
            revision=row.revision,
        )
        for row in rows
    ]
