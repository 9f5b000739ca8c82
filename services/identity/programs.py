"""Logins of programs: by an application credential and its secret, or by a signed request."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mesh import audit, clock
from mesh.database import Database
from mesh.errors import invalid
from services.identity import program_secrets, signatures
from services.identity.login import Issued, issue
from services.identity.model import Wanted
from services.identity.sealing import Seal
from services.identity.store import delegated, delegations, endpoints, scopes
from services.identity.tokens import Tokens

# The service that a request is signed for when it is meant as a login here, and how old it may be.
OWN_SERVICE = "weft"
OWN_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Said:
    """What a program says: which application credential, by id or by name and user, and its secret."""

    id: str
    name: str
    user_id: str
    user_name: str
    domain_name: str
    secret: str = field(repr=False)


class Programs:
    """Gives tokens to programs that prove to know a secret. What is wrong gets one answer."""

    def __init__(self, database: Database, tokens: Tokens, seal: Seal) -> None:
        self._database, self._tokens, self._seal = database, tokens, seal
        self._nobodys = program_secrets.new()

    async def by_secret(self, said: Said, wanted: Wanted | None) -> Issued:
        """A token by an application credential. Raises UNAUTHENTICATED."""
        row = await self._database.read(
            delegations.for_login, said.id, said.name, said.user_id, said.user_name, said.domain_name
        )
        if row is not None:
            audit.about(row.owner_id, "", "", (row.id,))
        right = program_secrets.match(row.secret if row is not None else "", said.secret)
        if row is None or not right:
            raise scopes.refused()
        return await self._issue(row.id, wanted, "application_credential")

    async def by_signature(self, request: signatures.Request, wanted: Wanted | None) -> Issued:
        """A token for who signed a request that is meant as a login. Raises as `for_service`."""
        signed = _read(request)
        meant = signed.service == OWN_SERVICE and signed.life is None
        return await self._checked(signed, wanted, meant and signed.fresh(clock.now(), OWN_SKEW))

    async def for_service(self, request: signatures.Request) -> Issued:
        """A token for who signed a request that another service received.

        Raises UNAUTHENTICATED, and INVALID_ARGUMENT for what is not signed by version 4.
        """
        signed = _read(request)
        meant = signed.service != OWN_SERVICE
        return await self._checked(signed, None, meant and signed.fresh(clock.now()))

    async def _checked(self, signed: signatures.Signed, wanted: Wanted | None, holds: bool) -> Issued:
        row = await self._database.read(delegations.of_access_key, signed.access_key)
        secret = self._nobodys
        if row is not None:
            audit.about(row.owner_id, "", "", (row.id,))
            secret = self._seal.open(row.secret, sealed_for(row.id)).decode()
        # The work is the same whatever is wrong; canonicalising a long request may take a while.
        right = await asyncio.to_thread(signed.made_with, secret)
        if row is None or not right or not holds:
            raise scopes.refused()
        return await self._issue(row.id, wanted, "ec2_signature")

    async def _issue(self, id: str, wanted: Wanted | None, method: str) -> Issued:
        grant, catalog = await self._database.write(_granted, id, wanted)
        return issue(self._tokens, grant, catalog, (method,))


def access_key(row: Any) -> str:
    """What signed requests call the EC2 credential: as was chosen, or its id without the dashes."""
    return str(row.access_key or row.id.replace("-", ""))


def sealed_for(id: str) -> str:
    """What the secret of an EC2 credential is bound to."""
    return f"ec2 credential {id}"


def _read(request: signatures.Request) -> signatures.Signed:
    try:
        return signatures.read(request)
    except signatures.Malformed as error:
        raise invalid("signed", str(error)) from error


def _granted(connection: Any, id: str, wanted: Wanted | None) -> tuple[scopes.Grant, list[Any]]:
    return delegated.by_credential(connection, id, wanted), endpoints.enabled(connection)
