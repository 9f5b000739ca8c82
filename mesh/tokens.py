"""Tokens: checked in every process by itself, with identity's public keys and its stream of revocations.

A token is a JWT signed with Ed25519. Once verified, its claims are remembered by its digest, so that the next
call with it costs a hash and a look-up.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh import tracing
from mesh.caller import Caller, Kind
from mesh.errors import CloudError
from weft.identity.v1 import resources_pb2

ALGORITHM = "EdDSA"
AUDIENCE = "weft"
# A real one is under 2 KiB; nothing longer is hashed or parsed.
LONGEST = 8192
_REMEMBERED = 50_000
# What reading a hostile token may end in: JSON nested too deep, numbers beyond all bounds, text that is none.
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
_CLAIMS = ["sub", "jti", "iat", "exp", "aud", "scp"]


class Verifier(Protocol):
    """Who turns a token into a caller."""

    async def verify(self, token: str) -> Caller:
        """The caller. Raises UNAUTHENTICATED, TOKEN_EXPIRED or TOKEN_REVOKED."""
        ...

    async def standing(self, host: Caller) -> None:
        """Returns when a host that joined may still call. Raises JOIN_REFUSED when its join was revoked."""
        ...


class Keys(Protocol):
    """Where public keys come from."""

    async def key(self, kid: str) -> bytes | None:
        """The raw Ed25519 public key of that id, None when there is none."""
        ...


class Revocations:
    """The revocations in force. `generation` grows with each, so that remembered claims are checked again."""

    def __init__(self) -> None:
        self.generation = 0
        # By token, user, project and domain, where "" is any: issued before, and until when it matters.
        self._held: dict[tuple[str, str, str, str], tuple[float, float]] = {}

    def add(self, revocation: resources_pb2.Revocation) -> None:
        """Take one into force."""
        key = (revocation.token_id, revocation.user_id, revocation.project_id, revocation.domain_id)
        before = revocation.issued_before.ToMicroseconds() / 1e6
        until = revocation.expires_at.ToMicroseconds() / 1e6
        had = self._held.get(key, (0.0, 0.0))
        self._held[key] = (max(before, had[0]), max(until, had[1]))
        self.generation += 1

    def cover(self, caller: Caller, issued_at: float) -> bool:
        """Whether a token with these claims is revoked: all that a revocation names must match."""
        keys = product(
            {"", caller.token_id, *caller.rests_on},
            {"", caller.user_id, *caller.vouched_by},
            {"", caller.project_id},
            {"", caller.domain_id, caller.user_domain_id, *caller.vouched_by},
        )
        return any(issued_at < self._held[key][0] for key in keys if key in self._held)

    def forget_expired(self) -> None:
        """Drop those that no living token can meet."""
        now = time.time()
        self._held = {key: held for key, held in self._held.items() if held[1] >= now}


@dataclass(slots=True)
class _Known:
    caller: Caller
    issued_at: float
    generation: int


class TokenVerifier:
    """Checks signature, life and revocation; identity uses it with its own keys, others through `remote`."""

    def __init__(self, keys: Keys, revocations: Revocations) -> None:
        self._keys, self._revocations = keys, revocations
        self._known: dict[bytes, _Known] = {}

    async def verify(self, token: str) -> Caller:
        """The caller that a token names. Raises UNAUTHENTICATED, TOKEN_EXPIRED or TOKEN_REVOKED."""
        if len(token) > LONGEST:
            raise unauthenticated()
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        known = self._known.get(digest)
        if known is None:
            with tracing.span("identity check"):
                known = await self._learn(token)
            self._remember(digest, known)
        if known.caller.expires_at <= time.time():
            raise expired(known.caller.expires_at)
        if known.generation != self._revocations.generation:
            if self._revocations.cover(known.caller, known.issued_at):
                raise CloudError("TOKEN_REVOKED", "The token was revoked: log in again.")
            known.generation = self._revocations.generation
        return known.caller

    async def _learn(self, token: str) -> _Known:
        try:
            header = jwt.get_unverified_header(token)
        except _UNREADABLE as error:
            raise unauthenticated() from error
        kid = header.get("kid")
        raw = await self._keys.key(kid) if isinstance(kid, str) and len(kid) <= 128 else None
        if raw is None or header.get("alg") != ALGORITHM:
            raise unauthenticated()
        claims = _decode(token, raw)
        return _Known(caller_of(claims), _moment(claims["iat"]), generation=-1)

    def _remember(self, digest: bytes, known: _Known) -> None:
        if len(self._known) >= _REMEMBERED:
            now = time.time()
            self._known = {d: k for d, k in self._known.items() if k.caller.expires_at > now}
            self._revocations.forget_expired()
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[digest] = known


def unauthenticated() -> CloudError:
    """The one answer to every token that does not hold: it says no more."""
    return CloudError("UNAUTHENTICATED", "The token does not hold: log in again.")


def expired(at: float) -> CloudError:
    """The answer to a token whose life is over."""
    moment = datetime.fromtimestamp(max(at, 0.0), UTC).isoformat(timespec="seconds")
    return CloudError("TOKEN_EXPIRED", f"The token ended at {moment}: log in again.", expired_at=moment)


def join_revoked(host_id: str) -> CloudError:
    """The answer to a host whose join was revoked."""
    message = f"The join of host {host_id} was revoked: join it again with a new token."
    return CloudError("JOIN_REFUSED", message, cause="revoked")


def caller_of(claims: Mapping[str, Any]) -> Caller:
    """The caller that verified claims describe. Raises UNAUTHENTICATED when they have the wrong shape."""
    try:
        return Caller(
            kind=Kind.USER,
            user_id=_text(claims["sub"]),
            user_name=_text(claims.get("usr", "")),
            user_domain_id=_text(claims.get("udm", "")),
            project_id=_text(claims.get("prj", "")),
            domain_id=_text(claims.get("dom", "")),
            scope=_text(claims["scp"]),
            roles=frozenset(_text(role) for role in claims.get("rol", ())),
            token_id=_text(claims["jti"]),
            expires_at=int(claims["exp"]),
            rests_on=tuple(_text(id) for id in claims.get("ron", ())),
            delegation_id=_text(claims.get("dlg", "")),
            vouched_by=tuple(_text(id) for id in claims.get("vou", ())),
            rules=frozenset(_text(rule) for rule in claims["acl"]) if "acl" in claims else None,
        )
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise unauthenticated() from error


def _moment(value: object) -> float:
    """Seconds since the epoch, of a claim. Raises UNAUTHENTICATED for what is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise unauthenticated() from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a claim is not text")
    return value


def _decode(token: str, raw_key: bytes) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            Ed25519PublicKey.from_public_bytes(raw_key),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"require": _CLAIMS},
        )
    except jwt.ExpiredSignatureError as error:
        claims = jwt.decode(token, options={"verify_signature": False})
        raise expired(float(claims["exp"])) from error
    except _UNREADABLE as error:
        raise unauthenticated() from error
