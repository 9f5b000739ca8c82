"""Logging in: from a password, or a token that holds, to a token for one scope."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from mesh import audit
from mesh.database import Database
from mesh.errors import invalid
from services.identity import slowdown
from services.identity.ahead import Ahead
from services.identity.model import DEFAULT_DOMAIN, Wanted
from services.identity.password_rules import must_change
from services.identity.passwords import Passwords
from services.identity.receipts import Receipt, Receipts
from services.identity.second_factor import SecondFactor
from services.identity.store import delegated, endpoints, revocations, rows, scopes, users
from services.identity.tables import users as user_table
from services.identity.tokens import Claims, Tokens
from services.identity.verifier import refuse_revoked

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token, what it says, and where the services are."""

    token: str
    claims: Claims
    project_name: str
    catalog: list[Any]


@dataclass(frozen=True, slots=True)
class Person:
    """What somebody says: who they are, by id or by name, their password, and a one-time code or none."""

    user_id: str
    domain_name: str
    name: str
    password: str = field(repr=False)
    code: str = field(default="", repr=False)
    domain_id: str = ""


class Login:
    """Gives tokens to those who prove who they are."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        passwords: Passwords,
        lockout: int,
        second: SecondFactor,
        project_admins: bool = False,
    ) -> None:
        self._database, self._tokens, self._passwords, self._second = database, tokens, passwords, second
        self._project_admins = project_admins
        self._slowdown = slowdown.Slowdown(database, lockout)
        self._receipts = Receipts(tokens.ring, tokens.cloud)

    async def by_password(
        self, said: Person, wanted: Wanted | None, source: str, told: Callable[[Issued], T]
    ) -> T:
        """A token for who knows the password, and has the second factor if that is needed; as it is `told`.

        Raises UNAUTHENTICATED alike for all that is wrong, or TOO_MANY_ATTEMPTS; SECOND_FACTOR_REQUIRED, with
        a receipt, and PASSWORD_CHANGE_REQUIRED when nothing is wrong but what they say.
        """

        async def token(user: Any) -> T:
            return told(await self._issue(user.id, user.password_hash, wanted, ("password",), None))

        ahead = Ahead(token)
        counted = wanted is not None and wanted.trust_id  # such a login uses up one of a trust's
        user = await self.known(said, source, None if counted else ahead)
        if not user.second_factor:
            return await ahead.of(user)
        if not said.code:
            raise self._receipts.required(user.id)
        await self._second.prove(user.id, said.code, source)
        return told(await self._issue(user.id, user.password_hash, wanted, ("password", "totp"), None))

    async def by_receipt(self, receipt: str, code: str, wanted: Wanted | None, source: str) -> Issued:
        """A token for who has shown to know the password, and has the second factor; raises as that does."""
        said = self._receipts.read(receipt)
        user = await self._database.read(_still_proven, said)
        await self._second.prove(said.user_id, code, source)
        return await self._issue(said.user_id, user.password_hash, wanted, ("password", "totp"), None)

    async def known(self, said: Person, source: str, ahead: Ahead[Any] | None = None) -> Any:
        """The user who says so, by id or by name, and knows the password; `ahead` is what can be begun
        meanwhile for one who needs nothing else. Raises as `by_password`.
        """
        domain_name = said.domain_name or DEFAULT_DOMAIN
        named = (said.user_id, domain_name, said.name, said.domain_id)
        user = await self._database.peek(users.for_login, *named)
        name = f"{said.user_id}\0{said.domain_id or domain_name}\0{said.name}"
        return await self.prove(user, name, said.password, source, ahead)

    async def known_fully(self, said: Person, source: str) -> Any:
        """The same, with the second factor if that is needed. Raises also INVALID_ARGUMENT where it lacks."""
        user = await self.known(said, source)
        if user.second_factor:
            if not said.code:
                raise invalid("totp_code", "is needed too")
            await self._second.prove(user.id, said.code, source)
        return user

    async def prove(
        self, user: Any, said: str, password: str, source: str, ahead: Ahead[Any] | None = None
    ) -> Any:
        """The user, whose password it is. The work is the same when there is no such user (None)."""
        if user is not None:
            audit.about(user.id, user.name, user.domain_id)
        async with self._slowdown.attempt(slowdown.subject(user and user.id, said), source) as attempt:
            stored = user.password_hash if user is not None else ""
            if ahead is not None and attempt.familiar and not user.second_factor:
                ahead.begin(user)
            if not await self._passwords.match(stored, password):
                if ahead is not None:
                    ahead.drop()
                await attempt.failed()
                raise scopes.refused()
            await attempt.succeeded()
        return user

    async def by_token(self, token: str, wanted: Wanted | None) -> Issued:
        """A token for another scope, of no longer life. Raises as a verifier does, and UNAUTHENTICATED."""
        claims = self._tokens.read(token)
        methods = tuple(dict.fromkeys((*claims.methods, "token")))
        if self._project_admins and wanted is not None and wanted.system and claims.target.project_id:
            wanted = replace(wanted, by_project_id=claims.target.project_id)
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
    until: datetime | None = None,
) -> Issued:
    """A token for what was granted, which ends `until` then."""
    by = grant.delegated.ids if grant.delegated is not None else ()
    audit.about(grant.user.id, grant.user.name, grant.user.domain_id, by)
    token, claims = tokens.sign(grant, methods, parent, until)
    return Issued(token, claims, grant.project_name, catalog if grant.target.scope != "none" else [])


def _still_proven(connection: Any, said: Receipt) -> Any:
    """The user of a receipt, whom nothing has happened to since. Raises UNAUTHENTICATED."""
    user = rows.find(connection, user_table, said.user_id)
    if user is None or revocations.hit(connection, ("",), (user.id,), "", (user.domain_id,), said.at):
        raise scopes.refused()
    return user


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
