"""Credentials of any type that programs keep with users."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import clock, mutation
from mesh.caller import Caller, current
from mesh.database import Database
from services.identity import handing_on, keeping
from services.identity.api.users import administered
from services.identity.sealing import Seal
from services.identity.store import credentials
from weft.identity.v1 import credential_service_pb2 as pb
from weft.identity.v1.credential_service_pb2_grpc import CredentialServiceServicer


class Credentials(CredentialServiceServicer):
    """weft.identity.v1.CredentialService. Answers that are kept for replays have no blob in them."""

    def __init__(self, database: Database, seal: Seal, project_admins: bool = False) -> None:
        self._database, self._seal, self._project_admins = database, seal, project_admins

    async def GetCredential(self, request: pb.GetCredentialRequest, context: Any) -> pb.Credential:
        """One's own, or one of whom the caller administers."""
        caller = current()
        row = await self._database.read(self._see, caller, request.id)
        return self._told(row)

    async def ListCredentials(
        self, request: pb.ListCredentialsRequest, context: Any
    ) -> pb.ListCredentialsResponse:
        """A page of one's own, of a user's whom the caller administers, or of everybody's."""
        caller = current()
        keeping.require_undelegated(caller)

        def find(connection: Any) -> tuple[list[Any], str]:
            user_id = handing_on.of_whom(connection, caller, request, "credentials")
            if user_id:
                self._need(connection, caller, user_id)
            return credentials.listed(connection, request, caller, user_id)

        rows, more = await self._database.read(find)
        return pb.ListCredentialsResponse(credentials=map(self._told, rows), next_page_token=more)

    async def CreateCredential(self, request: pb.CreateCredentialRequest, context: Any) -> pb.Credential:
        """A new one."""
        caller = current()
        keeping.require_undelegated(caller)
        user_id = request.user_id or caller.user_id

        def do(unit: Any) -> pb.Credential:
            self._need(unit, caller, user_id)
            return _message(keeping.create(unit, self._seal, caller, user_id, request))

        return _with(await mutation.change(self._database, request, pb.Credential, do), request.blob)

    async def UpdateCredential(self, request: pb.UpdateCredentialRequest, context: Any) -> pb.Credential:
        """Another blob."""
        caller = current()

        def do(unit: Any) -> pb.Credential:
            row = self._see(unit, caller, request.id)
            changed = keeping.update(unit, self._seal, row, request.expected_revision, request.blob)
            return _message(changed)

        return _with(await mutation.change(self._database, request, pb.Credential, do), request.blob)

    async def DeleteCredential(self, request: pb.DeleteCredentialRequest, context: Any) -> Empty:
        """Deletes it."""
        caller = current()

        def do(unit: Any) -> None:
            row = self._see(unit, caller, request.id)
            keeping.remove(unit, row, request.expected_revision)

        return await mutation.delete(self._database, request, do)

    def _see(self, connection: Any, caller: Caller, id: str) -> Any:
        """The credential, for who may read and change it. Raises NOT_FOUND, PERMISSION_DENIED."""
        row = keeping.see(connection, caller, id)
        keeping.require_undelegated(caller)
        self._need(connection, caller, row.user_id)
        return row

    def _need(self, connection: Any, caller: Caller, user_id: str) -> None:
        """Who has another's secrets may become them, as who sets their password."""
        if user_id != caller.user_id:
            administered(connection, user_id, caller, self._project_admins)

    def _told(self, row: Any) -> pb.Credential:
        found = _message(row)
        found.blob = keeping.blob(self._seal, row)
        return found


def _with(answer: pb.Credential, blob: str) -> pb.Credential:
    """The answer with the blob that was given: a replay came with the same one."""
    answer.blob = keeping.told(answer.type, blob)
    return answer


def _message(row: Any) -> pb.Credential:
    return pb.Credential(
        id=row.id,
        type=row.type,
        user_id=row.user_id,
        project_id=row.project_id or "",
        created_at=clock.to_proto(row.created_at),
        updated_at=clock.to_proto(row.updated_at),
        revision=row.revision,
    )
