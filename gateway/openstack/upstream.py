"""The services behind the dialects: called as the edge calls them, so that only the caller's token counts."""

from contextvars import ContextVar
from typing import Any, TypeVar

from mesh.certificates import Identity, Leaf
from mesh.channel import Channel, Link, Metadata
from mesh.settings import Settings

S = TypeVar("S")
_PASSED_ON = ("traceparent", "tracestate", "x-forwarded-for")
_metadata: ContextVar[Metadata] = ContextVar("weft_dialect_metadata", default=())


def act_for(token: str, headers: Any) -> None:
    """From here on (in this task), calls carry this token and belong to the trace that the headers name."""
    passed = [(name, headers[name]) for name in _PASSED_ON if name in headers]
    if token:
        passed.append(("authorization", f"Bearer {token}"))
    _metadata.set(tuple(passed))


class Services:
    """Stubs of the public contracts over one connection a service."""

    def __init__(self, settings: Settings, leaf: Leaf) -> None:
        self._settings, self._leaf = settings, leaf
        self._channels: dict[str, Channel] = {}
        self._stubs: dict[type, Any] = {}

    def stub(self, stub_class: type[S]) -> S:
        """A stub that raises CloudError. Its package names the service: weft.identity.v1 → identity."""
        if stub_class not in self._stubs:
            service = stub_class.__module__.split(".")[1]
            self._stubs[stub_class] = stub_class(self._channel(service))  # type: ignore[call-arg]
        return self._stubs[stub_class]

    def _channel(self, service: str) -> Channel:
        if service not in self._channels:
            link = Link(
                self._settings.address(service),
                self._leaf.ca_pem,
                self._leaf,
                Identity.service(service).dns,
            )
            self._channels[service] = Channel(link, _metadata.get)
        return self._channels[service]
