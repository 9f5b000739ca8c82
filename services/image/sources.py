"""Where content is imported from: HTTP servers that anybody may ask, and nothing inside of the cloud.

The image service asks from where it runs, for whoever is a member of a project. So a name is resolved here,
each of its addresses is looked at, and the connection goes to one that was found good: what the name
resolves to a moment later does not count. Every redirect is looked at like the first address. No proxy is
used, whatever the environment says.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urljoin, urlsplit

import httpcore

from mesh.errors import CloudError, invalid
from mesh.settings import SettingsError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Ask = Callable[[Mapping[str, str]], Awaitable[httpcore.Response]]

_REDIRECTS = 5
_REDIRECTING = (301, 302, 303, 307, 308)
# Statuses of which another attempt may answer otherwise: too busy, or broken just now.
_PASSING = (408, 425, 429, 500, 502, 503, 504)
# To who asks for a part it may be said that it is all again, or that there is no such part (RFC 9110, 14).
_OF_ALL, _OF_A_PART = (200,), (200, 206, 416)
_SECONDS = {"connect": 10.0, "read": 30.0, "write": 10.0, "pool": 10.0}
_AGAIN = 2.0  # seconds until another attempt may help
_RESTS = 8  # so often is the rest asked for of an answer that was cut
_HEADERS = {"User-Agent": "weft", "Accept": "*/*", "Accept-Encoding": "identity"}
# All unicast that the registries have given out; the rest of IPv6 stands for IPv4, or for nothing (RFC 4291).
_UNICAST = ip_network("2000::/3")
_6TO4 = ip_network("2002::/16")  # stands for an IPv4 address that may be of a private range


@dataclass(frozen=True, slots=True)
class Source:
    """Content on its way: `total` bytes of it, 0 where that is not known."""

    total: int
    chunks: AsyncIterator[bytes]


class Sources:
    """HTTP servers: those with public addresses, and those in the networks that the operator allows."""

    def __init__(self, allowed: Iterable[str], most_bytes: int) -> None:
        """`most_bytes`: more is not fetched from any. Raises SettingsError for what is no network."""
        self._most = most_bytes
        self._allowed = [_network(text) for text in allowed]
        self._trust = ssl.create_default_context()

    def check(self, uri: str) -> None:
        """Raises INVALID_ARGUMENT for an address of which it is clear by now that it is not fetched from."""
        wrong = self._wrong(uri)
        if wrong:
            raise invalid("uri", wrong)

    @asynccontextmanager
    async def opened(self, uri: str) -> AsyncIterator[Source]:
        """What is there. Raises SOURCE_REFUSED, and SOURCE_UNAVAILABLE also while it is read."""
        host = urlsplit(uri).hostname or ""
        async with AsyncExitStack() as stack:
            pool = httpcore.AsyncConnectionPool(self._trust, network_backend=_Pinned(self))
            await stack.enter_async_context(pool)
            ask = partial(self._asked, stack, pool, uri)
            answer = await ask(_HEADERS)
            total = int(_header(answer, "content-length") or 0)
            self._bear(host, total)
            yield Source(total, self._read(host, answer, total, ask))

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Those of a name that may be asked. Raises SOURCE_REFUSED where there are none."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_SECONDS["connect"]):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise _unavailable(host, "its name cannot be resolved") from error
        good = [address for *_, (text, *_) in found if self._may_ask(address := ip_address(text))]
        if not good:
            raise _refused(host, "its name resolves to no address that this cloud fetches from")
        return good

    async def _read(self, host: str, answer: httpcore.Response, total: int, ask: Ask) -> AsyncIterator[bytes]:
        """The content. An answer that says its length and ends before it is one that was cut: the server is
        asked for the rest where it can tell that it is the rest of the same.
        """
        size, etag = 0, _header(answer, "etag")
        asks = _RESTS if total and etag.startswith('"') else 0  # a weak one begins with W/
        while True:
            try:
                with _saying_why(host):
                    async for chunk in answer.aiter_stream():
                        size += len(chunk)
                        self._bear(host, size)
                        yield chunk
                return
            except CloudError as error:
                if error.reason != "SOURCE_UNAVAILABLE" or not asks:
                    raise
            asks -= 1
            await asyncio.sleep(_AGAIN)
            answer = await ask({**_HEADERS, "Range": f"bytes={size}-", "If-Range": etag})
            if _header(answer, "content-range") != f"bytes {size}-{total - 1}/{total}":
                raise _unavailable(host, f"it ended after {size} bytes, and does not give the rest alone")

    async def _asked(
        self,
        stack: AsyncExitStack,
        pool: httpcore.AsyncConnectionPool,
        uri: str,
        headers: Mapping[str, str],
    ) -> httpcore.Response:
        """What there is, or the part of it that the headers name."""
        with _saying_why(urlsplit(uri).hostname or ""):
            return await self._followed(stack, pool, uri, headers)

    def _bear(self, host: str, size: int) -> None:
        if size > self._most:
            raise _refused(host, f"it sends more than the {self._most} bytes that this cloud imports")

    def _may_ask(self, address: Address) -> bool:
        meant = getattr(address, "ipv4_mapped", None) or address
        return is_public(meant) or any(meant in network for network in self._allowed)

    def _wrong(self, uri: str) -> str:
        """What is wrong with an address, as far as it can be seen; "" where nothing is."""
        try:
            parts = urlsplit(uri)
        except ValueError:
            return "is no address"
        if parts.scheme not in ("http", "https"):
            return "must be an address of http or https"
        if "@" in parts.netloc or not uri.isascii():
            return "must not hold a user or password, for it is kept, and nothing but ASCII"
        if not parts.hostname or not _has_port(parts.netloc):
            return "must name a host, and a port of 1 to 65535 where it names one"
        literal = _literal(parts.hostname)
        if literal is not None and not self._may_ask(literal):
            return f"{literal} is no address that this cloud fetches from"
        return ""

    async def _followed(
        self, stack: AsyncExitStack, pool: httpcore.AsyncConnectionPool, uri: str, headers: Mapping[str, str]
    ) -> httpcore.Response:
        """The answer at the end of all redirects."""
        for _ in range(_REDIRECTS + 1):
            host = urlsplit(uri).hostname or ""
            asked = pool.stream("GET", uri, headers=headers, extensions={"timeout": _SECONDS})
            answer = await stack.enter_async_context(asked)
            if answer.status not in _REDIRECTING:
                return _checked(host, answer, _OF_A_PART if "Range" in headers else _OF_ALL)
            uri = self._next(host, uri, _header(answer, "location"))
        raise _refused(host, f"it redirects more than {_REDIRECTS} times")

    def _next(self, host: str, uri: str, location: str) -> str:
        """Where a redirect leads. Raises SOURCE_REFUSED."""
        onward = urljoin(uri, location)
        wrong = self._wrong(onward)
        if not location or wrong:
            raise _refused(host, f"it redirects to what {wrong or 'it does not say'}")
        if uri.startswith("https:") and not onward.startswith("https:"):
            raise _refused(host, "it redirects from https to http")
        return onward


def is_public(address: Address) -> bool:
    """Whether it is anybody's: not of a private, local or special range, nor a way to one."""
    if address.version == 6 and (address not in _UNICAST or address in _6TO4):
        return False
    return address.is_global and not address.is_multicast


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at, never to a name."""

    def __init__(self, sources: Sources) -> None:
        self._sources, self._plain = sources, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """To the first that answers, each given its time."""
        addresses = await self._sources.addresses(host, port)
        failure: Exception | None = None
        for address in addresses:
            try:
                return await self._plain.connect_tcp(str(address), port, timeout, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def sleep(self, seconds: float) -> None:
        """As any."""
        await self._plain.sleep(seconds)


@contextmanager
def _saying_why(host: str) -> Iterator[None]:
    """Raises SOURCE_UNAVAILABLE for all that a network can."""
    try:
        yield
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise _unavailable(host, "it did not answer in time") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise _unavailable(host, str(error) or type(error).__name__) from error


def _checked(host: str, answer: httpcore.Response, good: Container[int]) -> httpcore.Response:
    if answer.status in _PASSING:
        raise _unavailable(host, f"it answered {answer.status}")
    if answer.status not in good:
        raise _refused(host, f"it answered {answer.status}")
    if _header(answer, "content-encoding") not in ("", "identity"):
        raise _refused(host, "it sends the content encoded, which was not asked for")
    return answer


def _header(answer: httpcore.Response, name: str) -> str:
    found = (value for key, value in answer.headers if key.lower() == name.encode())
    return next(found, b"").decode("latin-1").strip()


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _has_port(netloc: str) -> bool:
    try:
        return urlsplit(f"//{netloc}").port != 0
    except ValueError:
        return False


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise SettingsError(f"image.import_from: {error}") from error


def _refused(host: str, detail: str) -> CloudError:
    message = f"Nothing can be imported from {host}: {detail}."
    return CloudError("SOURCE_REFUSED", message, host=host, detail=detail)


def _unavailable(host: str, detail: str) -> CloudError:
    message = f"{host} did not send what is to be imported: {detail}."
    return CloudError("SOURCE_UNAVAILABLE", message, retry_after=_AGAIN, host=host, detail=detail)
