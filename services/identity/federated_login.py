"""Logging in with an ID token: the user is made at the first login, the groups hold for the token's life."""

import logging
from typing import Any

from mesh import clock
from mesh.database import Database
from services.identity.id_tokens import IdTokens
from services.identity.login import Issued, issue
from services.identity.mapping import Mapped, mapped
from services.identity.model import Wanted
from services.identity.store import delegated, endpoints, memberships, providers, rights, scopes
from services.identity.tokens import Tokens

METHOD = "openid"
_log = logging.getLogger(__name__)


class FederatedLogin:
    """Gives tokens to those whom an identity provider vouches for."""

    def __init__(self, database: Database, tokens: Tokens, id_tokens: IdTokens) -> None:
        self._database, self._tokens, self._id_tokens = database, tokens, id_tokens

    async def by_id_token(self, token: str, nonce: str, wanted: Wanted | None) -> Issued:
        """A token for whom the ID token is about. Raises UNAUTHENTICATED alike for all that is wrong, or
        UNAVAILABLE when the provider's keys cannot be had.
        """
        provider, claims = await self._id_tokens.read(token, nonce)
        said = mapped(provider.rules, claims)
        if said is None:
            _log.info("identity provider %s: no rule names the bearer of a token", provider.name)
            raise scopes.refused()
        about = (provider.id, claims["sub"], said)
        grant, catalog = await self._database.write(self._grant, about, wanted)
        return issue(self._tokens, grant, catalog, (METHOD,))

    def _grant(
        self, connection: Any, about: tuple[str, str, Mapped], wanted: Wanted | None
    ) -> tuple[scopes.Grant, list[Any]]:
        rights.change(connection)
        user_id = providers.user_of(connection, *about)
        groups = providers.groups_named(connection, user_id, about[2].groups)
        memberships.replace_passing(connection, user_id, groups, clock.now() + self._tokens.life)
        if wanted is not None and wanted.trust_id:
            grant = delegated.by_trustee(connection, wanted.trust_id, user_id)
        else:
            grant = scopes.grant(connection, user_id, wanted)
        return grant, endpoints.enabled(connection)
