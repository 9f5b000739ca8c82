"""AWS's signature version 4: what a request says of who signed it, and whether the secret fits.

Rules: docs.aws.amazon.com, "Signature Version 4 for API requests". S3 signs the path as it is sent, all else
the normalised path escaped once more. Nothing here looks anything up.
"""

import hashlib
import hmac
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)
LONGEST_PRESIGNED = timedelta(days=7)
_UNSIGNED = "UNSIGNED-PAYLOAD"
_EMPTY = hashlib.sha256(b"").hexdigest()
_S3 = frozenset({"s3", "s3-object-lambda"})
_TIME = "%Y%m%dT%H%M%SZ"
_PARAMETERS = re.compile(r"\s*(\w+)=([^,\s]+)\s*")


class Malformed(Exception):
    """The request bears no signature of version 4 that could be checked."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was sent: header names in lower case, the values of one name in their order."""

    method: str
    path: str
    query: str
    headers: Mapping[str, list[str]]
    payload_hash: str


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed, for which service and time, and what."""

    request: Request
    access_key: str
    scope: tuple[str, str, str]  # date, region, service
    headers: tuple[str, ...]
    signature: str
    at: datetime
    life: timedelta | None  # of a presigned URL

    @property
    def service(self) -> str:
        """The service that the request is meant for."""
        return self.scope[2]

    def fresh(self, now: datetime, skew: timedelta = SKEW) -> bool:
        """Whether it holds now."""
        return self.at - skew <= now <= self.at + (skew if self.life is None else self.life)

    def made_with(self, secret: str) -> bool:
        """Whether it was signed with this secret."""
        key = b"AWS4" + secret.encode()
        for part in (*self.scope, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        wanted = hmac.new(key, _to_sign(self).encode(), "sha256").hexdigest()
        return hmac.compare_digest(wanted.encode(), self.signature.encode())


def read(request: Request) -> Signed:
    """What the request says. Raises Malformed."""
    query = _pairs(request.query)
    said = request.headers.get("authorization", [])
    presigned = [value for name, value in query if name == "X-Amz-Algorithm"]
    if len(said) + len(presigned) != 1:
        raise Malformed("exactly one signature is needed, of version 4")
    found = _from_query(request, dict(query)) if presigned else _from_header(request, said[0])
    _complete(found)
    return found


def _from_header(request: Request, said: str) -> Signed:
    algorithm, _, rest = said.strip().partition(" ")
    given = dict(
        _PARAMETERS.fullmatch(part).groups() for part in rest.split(",") if _PARAMETERS.fullmatch(part)
    )  # type: ignore[union-attr]
    if algorithm != ALGORITHM or given.keys() != {"Credential", "SignedHeaders", "Signature"}:
        raise Malformed("the authorization is no signature of version 4")
    dates = request.headers.get("x-amz-date", [])
    if len(dates) != 1:
        raise Malformed("x-amz-date is needed, once")
    return _signed(request, given["Credential"], given["SignedHeaders"], given["Signature"], dates[0], None)


def _from_query(request: Request, query: Mapping[str, str]) -> Signed:
    try:
        life = timedelta(seconds=int(query["X-Amz-Expires"]))
        named = [query[f"X-Amz-{name}"] for name in ("Credential", "SignedHeaders", "Signature", "Date")]
    except (KeyError, ValueError, OverflowError) as error:
        raise Malformed("the URL lacks a part of its signature") from error
    if query["X-Amz-Algorithm"] != ALGORITHM or not timedelta(0) < life <= LONGEST_PRESIGNED:
        raise Malformed("the URL is signed otherwise, or for more than seven days")
    return _signed(request, *named, life)


def _signed(
    request: Request, credential: str, headers: str, signature: str, at: str, life: timedelta | None
) -> Signed:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise Malformed("the credential names no scope")
    try:
        moment = datetime.strptime(at, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise Malformed("the time of the signature cannot be read") from error
    if at[:8] != parts[1]:
        raise Malformed("the credential is of another day than the signature")
    scope = (parts[1], parts[2], parts[3])
    return Signed(request, parts[0], scope, tuple(headers.split(";")), signature, moment, life)


def _complete(found: Signed) -> None:
    """What is not signed may have been changed on the way: the host and AWS's own headers must be."""
    needed = {"host", *(name for name in found.request.headers if name.startswith("x-amz-"))}
    if not needed <= set(found.headers) <= found.request.headers.keys():
        raise Malformed("host, and every header that begins with x-amz-, must be there and signed")
    said = found.request.headers.get("x-amz-content-sha256")
    if said and found.request.payload_hash not in ("", *said):
        raise Malformed("x-amz-content-sha256 is not the body's")


def _to_sign(found: Signed) -> str:
    canonical = hashlib.sha256(_canonical(found).encode()).hexdigest()
    return "\n".join(
        (ALGORITHM, found.at.strftime(_TIME), "/".join((*found.scope, "aws4_request")), canonical)
    )


def _canonical(found: Signed) -> str:
    request = found.request
    headers = [f"{name}:{_values(request.headers[name])}\n" for name in found.headers]
    return "\n".join(
        (
            request.method,
            _path(request.path, found.service),
            _query(request.query),
            "".join(headers),
            ";".join(found.headers),
            _payload(found),
        )
    )


def _values(values: list[str]) -> str:
    return ",".join(" ".join(value.split()) for value in values)


def _path(path: str, service: str) -> str:
    if service in _S3:
        return path
    tidy = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and tidy != "/":
        tidy += "/"
    return quote(tidy, safe="/~")


def _query(query: str) -> str:
    pairs = [(name, value) for name, value in _pairs(query) if name != "X-Amz-Signature"]
    escaped = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in escaped)


def _pairs(query: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name), unquote(value)) for name, _, value in parts]


def _payload(found: Signed) -> str:
    said = found.request.headers.get("x-amz-content-sha256")
    if said:
        return said[0]
    if found.life is not None and found.service in _S3:
        return _UNSIGNED
    return found.request.payload_hash or _EMPTY
