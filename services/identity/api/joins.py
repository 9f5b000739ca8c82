"""How machines become hosts: join tokens for administrators, certificates for hosts."""

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any

from mesh import clock, ids, mutation
from mesh.caller import Kind, current
from mesh.database import Database
from mesh.errors import CloudError, invalid
from mesh.joining import JoinToken
from services.identity.api.source import source
from services.identity.hosts import HostCertificates, digest
from services.identity.slowdown import Slowdown, subject
from services.identity.store import joins
from weft.identity.v1 import join_service_pb2 as pb
from weft.identity.v1.join_service_pb2_grpc import JoinServiceServicer, JoinTokenServiceServicer

_LIFE = timedelta(hours=1)


class JoinTokens(JoinTokenServiceServicer):
    """weft.identity.v1.JoinTokenService."""

    def __init__(self, database: Database, certificates: HostCertificates, gateway: str) -> None:
        self._database, self._certificates, self._gateway = database, certificates, gateway

    async def CreateJoinToken(
        self, request: pb.CreateJoinTokenRequest, context: Any
    ) -> pb.CreateJoinTokenResponse:
        """A token, and once its text: what is kept of the secret is a digest."""
        address = _reachable(request.address or self._gateway)
        life = request.expires_in.ToTimedelta() if request.HasField("expires_in") else _LIFE
        secret = ""
        host_id, caller = request.host_id or ids.new(), current()

        def do(unit: Any) -> pb.CreateJoinTokenResponse:
            nonlocal secret
            secret = secrets.token_urlsafe(32)
            now = clock.now()
            values = {
                "name": request.name,
                "host_id": host_id,
                "secret_digest": _digest(secret),
                "created_at": now,
                "expires_at": now + life,
                "created_by": caller.user_id,
            }
            return pb.CreateJoinTokenResponse(join_token=_message(joins.create(unit, values)))

        answer = await mutation.change(self._database, request, pb.CreateJoinTokenResponse, do)
        if secret:
            answer.text = JoinToken(host_id, secret, self._certificates.ca_pem, address).text()
        return answer

    async def GetJoinToken(self, request: pb.GetJoinTokenRequest, context: Any) -> pb.JoinToken:
        """A token, without its text."""
        return _message(await self._database.read(joins.get, request.id))

    async def ListJoinTokens(
        self, request: pb.ListJoinTokensRequest, context: Any
    ) -> pb.ListJoinTokensResponse:
        """A page of tokens."""
        found, more = await self._database.read(joins.listed, request, current())
        return pb.ListJoinTokensResponse(join_tokens=map(_message, found), next_page_token=more)

    async def RevokeJoinToken(self, request: pb.RevokeJoinTokenRequest, context: Any) -> pb.JoinToken:
        """Ends a token, and the certificates of who joined by it."""
        return await mutation.change(
            self._database, request, pb.JoinToken, lambda unit: _message(joins.revoke(unit, request.id))
        )


class Joining(JoinServiceServicer):
    """weft.identity.v1.JoinService."""

    def __init__(self, database: Database, certificates: HostCertificates) -> None:
        self._database, self._certificates = database, certificates
        self._slowdown = Slowdown(database)

    async def Join(self, request: pb.JoinRequest, context: Any) -> pb.JoinResponse:
        """The first certificate for a secret; another one for the key that joined."""
        key = self._certificates.key(request.csr, request.host_id)
        async with self._slowdown.attempt(
            subject(None, f"join\0{request.host_id}"), source(context)
        ) as attempt:
            known = digest(key)
            if request.secret:
                said = _digest(request.secret)
                row = await self._database.write(joins.use, request.host_id, said, known)
            else:
                row = await self._database.read(joins.held_by, request.host_id, known)
            if row is None:
                await attempt.failed()
                raise CloudError("UNAUTHENTICATED", "The join token does not hold: make a new one.")
        return pb.JoinResponse(certificate=self._certificates.sign(key, request.host_id, row.id))

    async def RenewCertificate(
        self, request: pb.RenewCertificateRequest, context: Any
    ) -> pb.RenewCertificateResponse:
        """The next certificate of the host that asks."""
        caller, host_id = current(), request.host_id
        if caller.kind is not Kind.NODE or caller.host_id != host_id:
            message = f"A certificate of host {host_id} is for that host alone."
            raise CloudError(
                "PERMISSION_DENIED", message, permission="identity.hosts.renew", scope="", role=""
            )
        key = self._certificates.key(request.csr, host_id)
        row = await self._database.read(joins.held_by, host_id, digest(key))
        if row is None:
            raise joins.refused(host_id, "revoked")
        return pb.RenewCertificateResponse(certificate=self._certificates.sign(key, host_id, row.id))


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _reachable(address: str) -> str:
    """Raises INVALID_ARGUMENT for an address that nobody can dial."""
    if address.rpartition(":")[0].strip("[]") in ("", "0.0.0.0", "::"):
        raise invalid("address", "the gateway listens on every address: say which one the host dials")
    return address


def _message(row: Any) -> pb.JoinToken:
    return pb.JoinToken(
        id=row.id,
        name=row.name,
        host_id=row.host_id,
        status=f"JOIN_TOKEN_STATUS_{joins.status(row)}",
        created_at=clock.to_proto(row.created_at),
        expires_at=clock.to_proto(row.expires_at),
        used_at=clock.to_proto(row.used_at),
        revoked_at=clock.to_proto(row.revoked_at),
        created_by=row.created_by,
    )
