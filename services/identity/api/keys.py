"""How the rest of the cloud checks tokens: public keys, the stream of revocations, and asking."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.duration_pb2 import Duration

from mesh import outbox, watch
from mesh.database import Database
from services.identity.api import messages
from services.identity.api.tokens import describe
from services.identity.keys import KeyRing
from services.identity.store import limit_changes, revocations
from services.identity.verifier import LocalVerifier
from weft.identity.v1 import key_service_pb2 as pb
from weft.identity.v1.key_service_pb2_grpc import KeyServiceServicer
from weft.identity.v1.resources_pb2 import Revocation, TokenInfo

# A new key is published a day before it signs: an hour is often enough.
_REFRESH = Duration(seconds=3600)
# Listeners take a stream for dead that says nothing for three times as long.
HEARTBEAT = 5.0


class Keys(KeyServiceServicer):
    """weft.identity.v1.KeyService."""

    def __init__(self, database: Database, ring: KeyRing, verifier: LocalVerifier) -> None:
        self._database, self._ring, self._verifier = database, ring, verifier

    async def ListKeys(self, request: pb.ListKeysRequest, context: Any) -> pb.ListKeysResponse:
        """The public keys; those that another replica made included."""
        await asyncio.to_thread(self._ring.renew)
        keys = [messages.signing_key(key) for key in self._ring.all()]
        return pb.ListKeysResponse(keys=keys, refresh_after=_REFRESH)

    async def WatchRevocations(
        self, request: pb.WatchRevocationsRequest, context: Any
    ) -> AsyncIterator[pb.WatchRevocationsResponse]:
        """All in force, then each new one, with a word every few seconds."""
        known, latest = await self._database.read(_snapshot, request.from_revision)
        for row in known:
            message = revocations.to_proto(row._mapping, row.revision)
            yield pb.WatchRevocationsResponse(revocation=message)
        yield pb.WatchRevocationsResponse(caught_up=True)
        kinds = (revocations.EVENT, limit_changes.EVENT)
        events = watch.stream(self._database, kinds, latest, None)
        async for event in _with_heartbeats(events):
            if event is None:
                yield pb.WatchRevocationsResponse()
                continue
            if event.resource_type == limit_changes.EVENT:
                yield pb.WatchRevocationsResponse(limits_changed=True)
                continue
            message = Revocation.FromString(event.payload)
            message.revision = event.revision
            yield pb.WatchRevocationsResponse(revocation=message)

    async def CheckToken(self, request: pb.CheckTokenRequest, context: Any) -> TokenInfo:
        """What the token says, if it holds."""
        return await describe(self._database, self._verifier, request.token)


def _snapshot(connection: Any, after: int) -> tuple[list[Any], int]:
    return revocations.in_force(connection, after), outbox.latest(connection)


async def _with_heartbeats(events: Any) -> AsyncIterator[watch.Event | None]:
    """The events, and None whenever there was none for a while."""
    upcoming = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait({upcoming}, timeout=HEARTBEAT)
            if not done:
                yield None
                continue
            yield upcoming.result()
            upcoming = asyncio.ensure_future(anext(events))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await events.aclose()
