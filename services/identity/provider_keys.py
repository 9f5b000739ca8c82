"""The keys of identity providers: fetched when needed, remembered, and fetched anew when they rotate.

An address comes from an administrator, or from what the provider there says. It must be of https, or of this
machine's loopback; no redirect is followed, no proxy used, and little read in little time.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from mesh import clock
from mesh.errors import CloudError, invalid

# Keys as old as this are fetched again, but hold while the provider does not answer for a day.
FRESH, STALE = timedelta(minutes=10), timedelta(days=1)
# A token with a key that is not known makes us ask again, and no more often than this.
AGAIN = timedelta(seconds=10)
_TIMEOUT = 5.0  # seconds for a whole answer
_LONGEST = 256 * 1024  # bytes of an answer
_MOST_KEYS = 100
_DISCOVERY = "/.well-known/openid-configuration"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Known:
    """What is known of one provider as it is set up now."""

    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    fetched_at: datetime = _LONG_AGO
    asked_at: datetime = _LONG_AGO
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ProviderKeys:
    """Keys by provider and key id."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], _Known] = {}

    async def key(self, provider: Any, kid: str, *, again: bool = False) -> jwt.PyJWK | None:
        """The key of that id (the only one, for no id); None when the provider has none. `again`: the known
        one is not the one.

        Raises UNAVAILABLE when there are no keys and the provider does not answer.
        """
        known = self._known.setdefault((provider.id, provider.issuer, provider.jwks_url), _Known())
        async with known.lock:
            now = clock.now()
            unknown = again or _chosen(known, kid) is None
            if (now - known.fetched_at > FRESH or unknown) and now - known.asked_at > AGAIN:
                await self._renew(provider, known, now)
        if not known.keys:
            raise _away(provider)
        return _chosen(known, kid)

    async def _renew(self, provider: Any, known: _Known, now: datetime) -> None:
        known.asked_at = now
        try:
            known.keys = await self._fetched(provider)
            known.fetched_at = now
        except (httpx.HTTPError, OSError, TimeoutError, ValueError, jwt.PyJWTError, CloudError) as error:
            _log.warning("identity provider %s: its keys cannot be had: %s", provider.name, error)
            if now - known.fetched_at > STALE:
                known.keys = {}

    async def _fetched(self, provider: Any) -> dict[str, jwt.PyJWK]:
        url = provider.jwks_url or await self._discovered(provider.issuer)
        said = await self._json(url)
        return dict(_usable(said.get("keys")))

    async def _discovered(self, issuer: str) -> str:
        said = await self._json(issuer.rstrip("/") + _DISCOVERY)
        if said.get("issuer") != issuer:
            raise ValueError("its discovery document names another issuer")
        return str(said.get("jwks_uri"))

    async def _json(self, url: str) -> dict[str, Any]:
        """The object at the address. Raises ValueError and all that a network can."""
        check_url("url", url)
        async with asyncio.timeout(_TIMEOUT), self._answer(url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"its answer has the status {answer.status_code}")
            content = bytearray()
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > _LONGEST:
                    raise ValueError(f"its answer has more than {_LONGEST} bytes")
        said = json.loads(content)
        if not isinstance(said, dict):
            raise ValueError("its answer is no object")
        return said

    @asynccontextmanager
    async def _answer(self, url: str) -> AsyncIterator[httpx.Response]:
        trust = await asyncio.to_thread(_trust)
        async with (
            httpx.AsyncClient(
                verify=trust, trust_env=False, follow_redirects=False, timeout=_TIMEOUT
            ) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as answer,
        ):
            yield answer


@cache
def _trust() -> ssl.SSLContext:
    """The authorities that this machine trusts: read when the first provider is asked, as there are many."""
    return ssl.create_default_context()


def check_url(name: str, url: str) -> None:
    """Raises INVALID_ARGUMENT for an address that is neither of https nor of this machine's loopback."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise invalid(name, "is no URL") from error
    if not host or parts.username is not None or parts.fragment:
        raise invalid(name, "must be a URL with a host, and without a user or a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise invalid(name, "must begin with https:// (http:// is for this machine's loopback alone)")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _usable(keys: Any) -> list[tuple[str, jwt.PyJWK]]:
    """Public keys for signatures, by id. What we cannot read is not for us."""
    if not isinstance(keys, list):
        raise ValueError("its answer has no keys")
    found = []
    for said in keys[:_MOST_KEYS]:
        if not isinstance(said, dict) or said.get("kty") == "oct" or said.get("use", "sig") != "sig":
            continue
        try:
            found.append((str(said.get("kid", "")), jwt.PyJWK(said)))
        except jwt.PyJWTError:
            continue
    return found


def _chosen(known: _Known, kid: str) -> jwt.PyJWK | None:
    if not kid and len(known.keys) == 1:
        return next(iter(known.keys.values()))
    return known.keys.get(kid)


def _away(provider: Any) -> CloudError:
    message = f"The identity provider {provider.name} does not answer: try again later."
    return CloudError("UNAVAILABLE", message, service=provider.name)
