"""Who is at the other end of a connection, by the certificate that it showed."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from mesh import caller
from mesh.caller import ANONYMOUS, Caller, Kind

_SAN = "x509_subject_alternative_name"
# In a host's certificate, beside who it is: by which join it came about.
JOIN = "urn:weft:join:"
CLIENT_CERTIFICATE = "x-forwarded-client-cert"


def of(context: Any, cloud: str, metadata: dict[str, Any]) -> Caller | None:
    """The caller that the certificate makes; ANONYMOUS for the gateway; None for no name of this cloud.

    A service that acts for somebody says for whom in metadata, which is believed of services alone.
    """
    prefix = f"spiffe://{cloud}/".encode()
    names = context.auth_context().get(_SAN, ())
    for name in names:
        if name.startswith(prefix):
            kind, _, id = name[len(prefix) :].decode(errors="replace").partition("/")
            return _caller(kind, id, metadata, names)
    return None


def _caller(kind: str, id: str, metadata: dict[str, Any], names: Iterable[bytes]) -> Caller | None:
    if kind in ("service", "node") and not id:
        return None
    if kind == "service":
        return _service(id, metadata.get(caller.METADATA_KEY))
    if kind == "node":
        return Caller(kind=Kind.NODE, host_id=id, token_id=_join(names))
    return ANONYMOUS if kind == "gateway" else None


def _join(names: Iterable[bytes]) -> str:
    """The id of the join that a host's certificate rests on; "" for one that the authority made by itself."""
    found = (name.decode() for name in names if name.startswith(JOIN.encode()))
    return next(found, "").removeprefix(JOIN)


def _service(name: str, acting_for: bytes | None) -> Caller | None:
    if acting_for is None:
        return Caller(kind=Kind.SERVICE, service=name)
    try:
        return caller.decode(acting_for).through(name)
    except ValueError:
        return None


def client_certificate(context: Any, cloud: str, metadata: Iterable[tuple[str, Any]]) -> str:
    """What the gateway says of the certificate that its client has shown (x-forwarded-client-cert, as Envoy
    writes it); "" where it says nothing. Whoever else sends such a header is not believed.
    """
    if of(context, cloud, {}) is not ANONYMOUS:
        return ""
    said = [str(value) for key, value in metadata if key == CLIENT_CERTIFICATE]
    return said[0] if len(said) == 1 else ""


def address(context: Any, metadata: Mapping[str, Any], who: Caller) -> str:
    """Where a call comes from: the client as the gateway saw it, else the peer; `unix` for a socket of this
    machine, `direct` for a service of the same process.

    The gateway appends the address that it saw to x-forwarded-for: what clients put before that counts for
    nothing, and what services and hosts put there neither.
    """
    if who.kind not in (Kind.SERVICE, Kind.NODE) and (forwarded := metadata.get("x-forwarded-for")):
        return str(forwarded).rsplit(",", 1)[-1].strip()[:255]
    kind, _, place = context.peer().partition(":")
    return kind if kind in ("unix", "direct") else unquote(place).rpartition(":")[0].strip("[]")[:255]
