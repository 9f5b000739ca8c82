"""What a handler is told of a call that gRPC did not bring, as by gRPC's own contexts."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import grpc
from grpc import aio

Metadata = Iterable[tuple[str, str | bytes]]


class Aborted(Exception):
    """The handler ended the call by an error."""

    def __init__(self, code: grpc.StatusCode, details: str, trailers: aio.Metadata) -> None:
        super().__init__(details)
        self.code, self.details, self.trailers = code, details, trailers


class Context:
    """`names` are those of the caller's certificate, `peer` where it is, as gRPC writes it; a call that
    `ends` does so at that time of the event loop.
    """

    def __init__(
        self, metadata: Metadata, names: Iterable[bytes], ends: float | None = None, peer: str = "direct:"
    ) -> None:
        self._metadata, self._names, self._ends, self._peer = tuple(metadata), names, ends, peer

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """What was sent beside the request."""
        return self._metadata

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What the caller's certificate names."""
        return {"x509_subject_alternative_name": self._names}

    def peer(self) -> str:
        """Where the caller is."""
        return self._peer

    def time_remaining(self) -> float | None:
        """Seconds; None without an end."""
        if self._ends is None:
            return None
        return max(0.0, self._ends - asyncio.get_running_loop().time())

    def set_trailing_metadata(self, _: object) -> None:
        """Only a client outside of the cloud reads it."""

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailers: Iterable[tuple[str, Any]] = ()
    ) -> NoReturn:
        """End the call by an error."""
        raise Aborted(code, details, aio.Metadata(*trailers))
