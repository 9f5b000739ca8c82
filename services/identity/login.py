"""Logging in: from a password, or a token that holds, to a token for one scope."""

from dataclasses import dataclass
from typing import Any

from mesh import audit
from mesh.database import Database
from services.identity import slowdown
from services.identity.model import DEFAULT_DOMAIN, Wanted
from services.identity.password_rules import must_change
from services.identity.passwords import Passwords
from services.identity.store import delegated, endpoints, rows, scopes, users
from services.identity.tables import users as user_table
from services.identity.tokens import Claims, Tokens
from services.identity.verifier import refuse_revoked


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token, what it says, and where the services are."""

    token: str
    claims: Claims
    project_name: str
    catalog: list[Any]


class Login:
    """Gives tokens to those who prove who they are."""

    def __init__(self, database: Database, tokens: Tokens, passwords: Passwords, lockout: int = 0) -> None:
        self._database, self._tokens, self._passwords = database, tokens, passwords
        self._slowdown = slowdown.Slowdown(database, lockout)

    async def by_password(
        self,
        user_id: str,
        domain_name: str,
        name: str,
        password: str,
        wanted: Wanted | None,
        source: str,
        domain_id: str = "",
    ) -> Issued:
        """A token for who knows the password. Raises UNAUTHENTICATED alike for all that is wrong, or
        TOO_MANY_ATTEMPTS; PASSWORD_CHANGE_REQUIRED when nothing is wrong but the password's age.
        """
        user = await self.known(user_id, domain_name, name, password, source, domain_id)
        return await self._issue(user.id, user.password_hash, wanted, ("password",), None)

    async def known(
        self, user_id: str, domain_name: str, name: str, password: str, source: str, domain_id: str = ""
    ) -> Any:
        """The user who says so, by id or by name, and knows the password. Raises as `by_password`."""
        domain_name = domain_name or DEFAULT_DOMAIN
        user = await self._database.peek(users.for_login, user_id, domain_name, name, domain_id)
        return await self.prove(user, f"{user_id}\0{domain_id or domain_name}\0{name}", password, source)

    async def prove(self, user: Any, said: str, password: str, source: str) -> Any:
        """The user, whose password it is. The work is the same when there is no such user (None)."""
        if user is not None:
            audit.about(user.id, user.name, user.domain_id)
        async with self._slowdown.attempt(slowdown.subject(user and user.id, said), source) as attempt:
            stored = user.password_hash if user is not None else ""
            if not await self._passwords.match(stored, password):
                await attempt.failed()
                raise scopes.refused()
            await attempt.succeeded()
        return user

    async def by_token(self, token: str, wanted: Wanted | None) -> Issued:
        """A token for another scope, of no longer life. Raises as a verifier does, and UNAUTHENTICATED."""
        claims = self._tokens.read(token)
        methods = tuple(dict.fromkeys((*claims.methods, "token")))
        return await self._issue(claims.user_id, None, wanted, methods, claims)

    async def _issue(
        self,
        user_id: str,
        proven: str | None,
        wanted: Wanted | None,
        methods: tuple[str, ...],
        parent: Claims | None,
    ) -> Issued:
        grant, catalog = await self._database.write(_grant, user_id, proven, wanted, parent)
        return issue(self._tokens, grant, catalog, methods, parent)


def issue(
    tokens: Tokens,
    grant: scopes.Grant,
    catalog: list[Any],
    methods: tuple[str, ...],
    parent: Claims | None = None,
) -> Issued:
    """A token for what was granted."""
    audit.about(grant.user.id, grant.user.name, grant.user.domain_id)
    token, claims = tokens.sign(grant, methods, parent)
    return Issued(token, claims, grant.project_name, catalog if grant.target.scope != "none" else [])


def _grant(
    connection: Any, user_id: str, proven: str | None, wanted: Wanted | None, parent: Claims | None
) -> tuple[scopes.Grant, list[Any]]:
    """What may be given now; what was proven a moment ago must still be so."""
    if parent is not None and parent.delegation_id:
        grant = delegated.again(connection, parent.delegation_id, wanted)
    elif wanted is not None and wanted.trust_id:
        grant = delegated.by_trustee(connection, wanted.trust_id, user_id)
    else:
        grant = scopes.grant(connection, user_id, wanted)
    # The user of a trust's token may be another than the one who logs in; both are held.
    user = grant.user if grant.user.id == user_id else rows.get(connection, user_table, user_id)
    if proven is not None and user.password_hash != proven:
        raise scopes.refused()
    stale = must_change(user, grant.at) if proven is not None else None
    if stale is not None:
        raise stale
    if parent is not None:
        refuse_revoked(connection, parent)
    return grant, endpoints.enabled(connection)
