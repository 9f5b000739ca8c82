"""KeyPairService."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import mutation
from mesh.caller import current
from mesh.database import Connection, Database
from mesh.errors import invalid
from services.compute import messages, ssh_keys
from services.compute.store import key_pairs
from weft.compute.v1.key_pair_service_pb2 import (
    CreateKeyPairRequest,
    DeleteKeyPairRequest,
    GetKeyPairRequest,
    ListKeyPairsRequest,
    ListKeyPairsResponse,
)
from weft.compute.v1.key_pair_service_pb2_grpc import KeyPairServiceServicer
from weft.compute.v1.resources_pb2 import KeyPair


class KeyPairService(KeyPairServiceServicer):
    """Public SSH keys of the caller's own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetKeyPair(self, request: GetKeyPairRequest, context: Any) -> KeyPair:
        return messages.key_pair(await self._database.peek(key_pairs.get, current().user_id, request.name))

    async def ListKeyPairs(self, request: ListKeyPairsRequest, context: Any) -> ListKeyPairsResponse:
        rows, token = await self._database.read(key_pairs.list_, request, current())
        return ListKeyPairsResponse(key_pairs=map(messages.key_pair, rows), next_page_token=token)

    async def CreateKeyPair(self, request: CreateKeyPairRequest, context: Any) -> KeyPair:
        """A generated private key is added to the first answer only: what replays give is without it."""
        if not current().user_id:
            raise invalid("user", "a key pair belongs to a user: log in.")
        private = ""
        public = request.public_key and ssh_keys.check(request.public_key)
        if not public:
            private, public = ssh_keys.generate(request.name)
        values = {
            "user_id": current().user_id,
            "name": request.name,
            "public_key": public,
            "fingerprint": ssh_keys.fingerprint(public),
        }

        def create(connection: Connection) -> KeyPair:
            return messages.key_pair(key_pairs.create(connection, values))

        answer = await mutation.change(self._database, request, KeyPair, create)
        answer.private_key = private if answer.public_key == public else ""
        return answer

    async def DeleteKeyPair(self, request: DeleteKeyPairRequest, context: Any) -> Empty:
        owner_id = current().user_id

        def delete(connection: Connection) -> None:
            key_pairs.remove(connection, owner_id, request.name, request.expected_revision)

        return await mutation.delete(self._database, request, delete)
