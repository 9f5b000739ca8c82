"""How identity itself checks tokens: with its own keys, and its revocations in the database."""

from collections import OrderedDict
from hashlib import sha256
from typing import Any

from mesh import clock
from mesh.caller import Caller
from mesh.database import Database
from mesh.errors import CloudError
from mesh.tokens import join_revoked
from services.identity.store import joins, revocations
from services.identity.tokens import Claims, Tokens

_REMEMBERED = 10_000


class LocalVerifier:
    """Checks the signature once for each token, and revocations each time."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database, self._tokens = database, tokens
        self._known: OrderedDict[bytes, Claims] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        """Who presents it. Raises UNAUTHENTICATED, TOKEN_EXPIRED or TOKEN_REVOKED."""
        return (await self.claims(token)).caller()

    async def claims(self, token: str) -> Claims:
        """All that a token says that holds. Raises as `verify`."""
        claims = self._read(token)
        await self._database.peek(refuse_revoked, claims)
        return claims

    async def standing(self, host: Caller) -> None:
        """Raises JOIN_REFUSED for a host whose join was revoked."""
        if await self._database.peek(joins.revoked, host.token_id):
            raise join_revoked(host.host_id)

    def _read(self, token: str) -> Claims:
        digest = sha256(token.encode()).digest()
        claims = self._known.get(digest)
        if claims is None or claims.expires_at <= clock.now():
            claims = self._tokens.read(token)
            self._known[digest] = claims
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return claims


def refuse_revoked(connection: Any, claims: Claims) -> None:
    """Raises TOKEN_REVOKED."""
    users = (claims.user_id, *claims.vouched_by)
    domains = (claims.target.domain_id, claims.user_domain_id, *claims.vouched_by)
    tokens = (claims.token_id, *claims.rests_on)
    said = (tokens, users, claims.target.project_id, domains, claims.issued_at)
    if revocations.hit(connection, *said):
        raise CloudError("TOKEN_REVOKED", "The token was revoked: log in again.")
