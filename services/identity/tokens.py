"""Tokens: EdDSA-signed JWTs that carry all that a service needs to decide by itself."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from mesh import clock, ids
from mesh.caller import Caller, Kind
from mesh.errors import CloudError
from services.identity.keys import KeyRing
from services.identity.model import Target
from services.identity.store.scopes import Delegated, Grant

AUDIENCE = "weft"
ALGORITHM = "EdDSA"
# Each exchange makes a token longer by an id, and a token has to fit into a header.
LONGEST_CHAIN = 16
_NEVER = datetime.max.replace(tzinfo=UTC)
_BY_NOBODY = Delegated((), (), None, None)
_REQUIRED = ["iss", "aud", "sub", "jti", "iat", "exp"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says."""

    token_id: str
    user_id: str
    user_name: str
    user_domain_id: str
    target: Target
    roles: frozenset[str]
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    rests_on: tuple[str, ...] = ()
    delegation_id: str = ""
    vouched_by: tuple[str, ...] = ()
    rules: frozenset[str] | None = None

    def caller(self) -> Caller:
        """As the caller that presents it."""
        return Caller(
            kind=Kind.USER,
            user_id=self.user_id,
            user_name=self.user_name,
            project_id=self.target.project_id,
            domain_id=self.target.domain_id,
            user_domain_id=self.user_domain_id,
            scope=self.target.scope,
            roles=self.roles,
            token_id=self.token_id,
            expires_at=int(self.expires_at.timestamp()),
            rests_on=self.rests_on,
            delegation_id=self.delegation_id,
            vouched_by=self.vouched_by,
            rules=self.rules,
        )


class Tokens:
    """Signs and reads the tokens of one cloud."""

    def __init__(self, ring: KeyRing, cloud: str, life: timedelta) -> None:
        self.ring, self.cloud, self._life = ring, cloud, life

    @property
    def life(self) -> timedelta:
        """How long a token lives at most."""
        return self._life

    def sign(
        self,
        grant: Grant,
        methods: tuple[str, ...],
        parent: Claims | None = None,
        until: datetime | None = None,
    ) -> tuple[str, Claims]:
        """A new token and what it says. It ends after the usual life, and at the latest `until` then, with
        its `parent`, and with the delegation that it came about by.

        Raises UNAUTHENTICATED when the token was exchanged too often.
        """
        by = grant.delegated or _BY_NOBODY
        ends = (by.expires_at, parent and parent.expires_at, until)
        end = min(grant.at + self._life, *(each or _NEVER for each in ends))
        claims = Claims(
            token_id=ids.new(),
            user_id=grant.user.id,
            user_name=grant.user.name,
            user_domain_id=grant.user.domain_id,
            target=grant.target,
            roles=grant.roles,
            methods=methods,
            issued_at=grant.at,
            expires_at=end.replace(microsecond=0),
            rests_on=_chain(parent, by.ids),
            delegation_id=by.ids[-1] if by.ids else "",
            vouched_by=by.vouched_by,
            rules=by.rules,
        )
        key = self.ring.signing()
        return jwt.encode(
            self._payload(claims), key.private, algorithm=ALGORITHM, headers={"kid": key.kid}
        ), claims

    def _payload(self, claims: Claims) -> dict[str, Any]:
        said = {
            "iss": self.cloud,
            "aud": AUDIENCE,
            "sub": claims.user_id,
            "jti": claims.token_id,
            # To the microsecond: a token of the same second may be from before or after a revocation.
            "iat": claims.issued_at.timestamp(),
            "exp": int(claims.expires_at.timestamp()),
            "usr": claims.user_name,
            "udm": claims.user_domain_id,
            "scp": claims.target.scope,
            "prj": claims.target.project_id,
            "dom": claims.target.domain_id,
            "rol": sorted(claims.roles),
            "mth": list(claims.methods),
            "ron": list(claims.rests_on),
        }
        if claims.delegation_id:
            said |= {"dlg": claims.delegation_id, "vou": list(claims.vouched_by)}
        if claims.rules is not None:
            said["acl"] = sorted(claims.rules)
        return said

    def read(self, token: str) -> Claims:
        """What the token says, if we signed it and it is not over; revocations are not looked at.

        Raises TOKEN_EXPIRED, or UNAUTHENTICATED for anything else.
        """
        try:
            key = self.ring.get(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise not_ours()
            payload = jwt.decode(
                token,
                key.public,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self.cloud,
                options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False},
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise not_ours() from error
        claims = _claims(payload)
        if claims.expires_at <= clock.now():
            at = claims.expires_at.isoformat()
            raise CloudError("TOKEN_EXPIRED", "The token's life is over: log in again.", expired_at=at)
        return claims


def _chain(parent: Claims | None, delegations: tuple[str, ...]) -> tuple[str, ...]:
    """Ids of all that a token rests on: what handed its rights on, then those that it was exchanged for."""
    exchanged = (*parent.rests_on, parent.token_id) if parent else ()
    if len(exchanged) > LONGEST_CHAIN:
        raise CloudError("UNAUTHENTICATED", "The token was exchanged too often: log in again.")
    return tuple(dict.fromkeys((*delegations, *exchanged)))


def not_ours() -> CloudError:
    """UNAUTHENTICATED."""
    return CloudError("UNAUTHENTICATED", "The token does not hold: log in again.")


def _claims(payload: dict[str, Any]) -> Claims:
    return Claims(
        token_id=payload["jti"],
        user_id=payload["sub"],
        user_name=payload["usr"],
        user_domain_id=payload["udm"],
        target=Target(payload["prj"], payload["dom"], payload["scp"] == "system"),
        roles=frozenset(payload["rol"]),
        methods=tuple(payload["mth"]),
        issued_at=datetime.fromtimestamp(payload["iat"], UTC),
        expires_at=datetime.fromtimestamp(payload["exp"], UTC),
        rests_on=tuple(payload.get("ron", ())),
        delegation_id=payload.get("dlg", ""),
        vouched_by=tuple(payload.get("vou", ())),
        rules=frozenset(payload["acl"]) if "acl" in payload else None,
    )
