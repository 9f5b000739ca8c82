"""Application credentials: logins for programs."""

import asyncio
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import clock, ids, mutation
from mesh.caller import current
from mesh.database import Database
from services.identity import handing_on, program_secrets
from services.identity.api import units
from services.identity.delegated_rules import compiled
from services.identity.store import delegations
from services.identity.store.chains import Kind
from weft.identity.v1 import application_credential_service_pb2 as pb
from weft.identity.v1.application_credential_service_pb2_grpc import ApplicationCredentialServiceServicer

_KIND = Kind.APPLICATION_CREDENTIAL


class ApplicationCredentials(ApplicationCredentialServiceServicer):
    """weft.identity.v1.ApplicationCredentialService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetApplicationCredential(
        self, request: pb.GetApplicationCredentialRequest, context: Any
    ) -> pb.ApplicationCredential:
        """One's own, or one of whom the caller administers."""
        caller = current()

        def find(connection: Any) -> pb.ApplicationCredential:
            return _messages(connection, [handing_on.see(connection, caller, _KIND, request.id)])[0]

        return await self._database.read(find)

    async def ListApplicationCredentials(
        self, request: pb.ListApplicationCredentialsRequest, context: Any
    ) -> pb.ListApplicationCredentialsResponse:
        """A page of one's own, or of a user's whom the caller administers."""
        caller = current()

        def find(connection: Any) -> pb.ListApplicationCredentialsResponse:
            user_id = handing_on.whose(connection, caller, request.user_id)
            rows, more = delegations.of_owner(connection, _KIND, request, caller, user_id)
            found = _messages(connection, rows)
            return pb.ListApplicationCredentialsResponse(application_credentials=found, next_page_token=more)

        return await self._database.read(find)

    async def CreateApplicationCredential(
        self, request: pb.CreateApplicationCredentialRequest, context: Any
    ) -> pb.ApplicationCredential:
        """A new one. The secret is added to the first answer only: what replays give is without it."""
        caller, id, secret = current(), ids.new(), program_secrets.new()
        end = units.moment("expires_at", request.expires_at) if request.HasField("expires_at") else None
        own = {
            "id": id,
            "name": request.name,
            "description": request.description,
            "access_rules": await asyncio.to_thread(compiled, request.access_rules),
            "unrestricted": request.unrestricted,
            "secret": program_secrets.hashed(secret),
        }

        def do(unit: Any) -> pb.ApplicationCredential:
            values, _ = handing_on.prepare(unit, caller, _KIND, request.roles, end)
            return _messages(unit, [delegations.create(unit, _KIND, values | own)])[0]

        answer = await mutation.change(self._database, request, pb.ApplicationCredential, do)
        if answer.id == id and not request.validate_only:
            answer.secret = secret
        return answer

    async def DeleteApplicationCredential(
        self, request: pb.DeleteApplicationCredentialRequest, context: Any
    ) -> Empty:
        """Deletes it with all that was made by it."""
        caller = current()
        return await mutation.delete(
            self._database,
            request,
            lambda unit: handing_on.end(unit, caller, _KIND, request.id, request.expected_revision),
        )


def _messages(connection: Any, rows: list[Any]) -> list[pb.ApplicationCredential]:
    names = delegations.role_names(connection, rows)
    return [
        pb.ApplicationCredential(
            id=row.id,
            name=row.name,
            description=row.description,
            user_id=row.owner_id,
            project_id=row.project_id,
            roles=sorted(names[id] for id in row.role_ids if id in names),
            unrestricted=row.unrestricted,
            access_rules=[pb.AccessRule(rpc=rule) for rule in row.access_rules],
            expires_at=clock.to_proto(row.expires_at),
            parent_id=row.parent_id or "",
            created_at=clock.to_proto(row.created_at),
            revision=row.revision,
        )
        for row in rows
    ]
