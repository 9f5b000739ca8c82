"""ID tokens of OpenID Connect: who they are from, and whether they hold."""

from typing import Any

import jwt

from mesh.database import Database
from services.identity.provider_keys import ProviderKeys
from services.identity.store import providers, scopes

# Signatures that need the provider's private key to make: never `none`, nor a secret that others may have.
_ALGORITHMS = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip
_REQUIRED = ["iss", "sub", "aud", "exp", "iat"]
_LEEWAY = 30  # seconds that clocks may differ
_LONGEST_SUBJECT = 255  # OpenID Connect Core 1.0, section 2
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class IdTokens:
    """Reads the ID tokens of the providers that the cloud knows."""

    def __init__(self, database: Database, keys: ProviderKeys) -> None:
        self._database, self._keys = database, keys

    async def read(self, token: str, nonce: str) -> tuple[Any, dict[str, Any]]:
        """The provider, and the claims of its token.

        Raises UNAUTHENTICATED alike for all that is wrong, UNAVAILABLE when the provider's keys are not to
        be had.
        """
        kid, issuer = _unverified(token)
        provider = await self._database.read(providers.of_issuer, issuer)
        if provider is None:
            raise scopes.refused()
        try:
            claims = await self._verified(token, kid, provider)
        except _UNREADABLE as error:
            raise scopes.refused() from error
        if not (_for_us(claims, provider) and _named(claims["sub"]) and claims.get("nonce", "") == nonce):
            raise scopes.refused()
        return provider, claims

    async def _verified(self, token: str, kid: str, provider: Any) -> dict[str, Any]:
        """The claims, by the keys that are known, or else by those that the provider has now."""
        try:
            return _decoded(token, await self._keys.key(provider, kid), provider)
        except jwt.InvalidSignatureError:
            return _decoded(token, await self._keys.key(provider, kid, again=True), provider)


def _decoded(token: str, key: jwt.PyJWK | None, provider: Any) -> dict[str, Any]:
    """The claims of a token that the key signed, is from the provider and for us, and is not over."""
    if key is None:
        raise jwt.InvalidKeyError("the provider has no such key")
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=_ALGORITHMS,
        audience=provider.audiences,
        issuer=provider.issuer,
        leeway=_LEEWAY,
        options={"require": _REQUIRED},
    )
    return claims


def _unverified(token: str) -> tuple[str, str]:
    """The key's id and the issuer that the token claims. Raises UNAUTHENTICATED."""
    try:
        said = jwt.decode_complete(token, options={"verify_signature": False})
        kid, issuer = said["header"].get("kid", ""), said["payload"].get("iss")
    except _UNREADABLE as error:
        raise scopes.refused() from error
    if not isinstance(kid, str) or not isinstance(issuer, str):
        raise scopes.refused()
    return kid, issuer


def _for_us(claims: dict[str, Any], provider: Any) -> bool:
    """Of several that it is for, the one that it was issued to is ours (OpenID Connect Core 3.1.3.7)."""
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    return claims["azp"] in provider.audiences if "azp" in claims else not several


def _named(subject: Any) -> bool:
    return isinstance(subject, str) and 0 < len(subject) <= _LONGEST_SUBJECT
