"""Logging in by an ID token or a client certificate: the user is made at the first login, the groups hold for
the token's life.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mesh import clock
from mesh.database import Database
from services.identity import client_certificates, slowdown
from services.identity.id_tokens import IdTokens
from services.identity.login import Issued, issue
from services.identity.mapping import Mapped, mapped
from services.identity.model import Wanted
from services.identity.store import delegated, endpoints, memberships, providers, rights, scopes
from services.identity.tokens import Tokens

ID_TOKEN, CERTIFICATE = "openid", "x509"
_log = logging.getLogger(__name__)


class FederatedLogin:
    """Gives tokens to those whom an identity provider vouches for."""

    def __init__(self, database: Database, tokens: Tokens, id_tokens: IdTokens) -> None:
        self._database, self._tokens, self._id_tokens = database, tokens, id_tokens
        self._slowdown = slowdown.Slowdown(database)
        self.cloud = tokens.cloud

    async def by_id_token(self, token: str, nonce: str, wanted: Wanted | None) -> Issued:
        """A token for whom the ID token is about. Raises UNAUTHENTICATED alike for all that is wrong, or
        UNAVAILABLE when the provider's keys cannot be had.
        """
        provider, claims = await self._id_tokens.read(token, nonce)
        return await self._enter(provider, claims, wanted, ID_TOKEN)

    async def by_certificate(
        self, provider_name: str, shown: str, wanted: Wanted | None, source: str
    ) -> Issued:
        """A token for whose certificate the edge says that it was shown, which ends with that at the latest.
        Raises UNAUTHENTICATED alike for all that is wrong, or TOO_MANY_ATTEMPTS.
        """
        pem = client_certificates.shown(shown)
        who = slowdown.subject(None, f"certificate\0{provider_name}\0{pem}")
        async with self._slowdown.attempt(who, source) as attempt:
            provider = await self._database.read(providers.of_certificates, provider_name)
            authorities = provider.certificate_authorities if provider is not None else ""
            said = client_certificates.verified(pem, authorities, clock.now())
            if provider is None or said is None:
                await attempt.failed()
                raise scopes.refused()
            await attempt.passed()
        return await self._enter(provider, said.claims, wanted, CERTIFICATE, said.until)

    async def _enter(
        self,
        provider: Any,
        claims: Mapping[str, Any],
        wanted: Wanted | None,
        method: str,
        until: datetime | None = None,
    ) -> Issued:
        said = mapped(provider.rules, claims)
        if said is None:
            _log.info("identity provider %s: no rule names who came from it", provider.name)
            raise scopes.refused()
        about = (provider.id, claims["sub"], said)
        grant, catalog = await self._database.write(self._grant, about, wanted, until)
        return issue(self._tokens, grant, catalog, (method,), until=until)

    def _grant(
        self, connection: Any, about: tuple[str, str, Mapped], wanted: Wanted | None, until: datetime | None
    ) -> tuple[scopes.Grant, list[Any]]:
        rights.change(connection)
        user_id = providers.user_of(connection, *about)
        groups = providers.groups_named(connection, user_id, about[2].groups)
        ends = clock.now() + self._tokens.life
        memberships.replace_passing(connection, user_id, groups, min(ends, until or ends))
        if wanted is not None and wanted.trust_id:
            grant = delegated.by_trustee(connection, wanted.trust_id, user_id)
        else:
            grant = scopes.grant(connection, user_id, wanted)
        return grant, endpoints.enabled(connection)
