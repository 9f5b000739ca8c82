"""A dialect: its route table, how it says faults, which microversions it knows."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.responses import Response

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal, Shape

# Answers the document of the body, None for no body, or a whole response.
Handler = Callable[[Call], Awaitable[dict[str, Any] | list[Any] | Response | None]]
Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Route:
    """One call. `path` is below the dialect's mount, with `{parameters}`; `status` is that of success.

    `administers`: the contract wants the scope of the system, which OpenStack's clients do not ask for (see
    `Call.administer`). `since` is the first microversion that has the call.
    """

    method: str
    path: str
    handler: Handler
    status: int = 200
    administers: bool = False
    since: Version = (0, 0)


@dataclass(frozen=True, slots=True)
class Microversions:
    """The span of microversions that are answered truthfully, and the headers that ask for one."""

    service: str
    lowest: Version
    highest: Version
    legacy_header: str = ""

    def asked(self, headers: Any) -> Version:
        """The version that a request is answered in. Raises Refusal (406) for one that is not there."""
        wanted = self._wanted(headers)
        if wanted == "latest":
            return self.highest
        if not wanted:
            return self.lowest
        major, _, minor = wanted.partition(".")
        if not (major.isdecimal() and minor.isdecimal()) or len(wanted) > 9:
            raise Refusal(400, f"invalid version string: {wanted}: it must be X.Y.")
        version = (int(major), int(minor))
        if not self.lowest <= version <= self.highest:
            span = f"Minimum is {text(self.lowest)} and maximum is {text(self.highest)}."
            raise Refusal(406, f"Unacceptable version header: {wanted}. {span}")
        return version

    def said(self, version: Version) -> dict[str, str]:
        """The headers of an answer in that version."""
        headers = {
            "openstack-api-version": f"{self.service} {text(version)}",
            "vary": "openstack-api-version",
        }
        if self.legacy_header:
            headers[self.legacy_header] = text(version)
            headers["vary"] += f", {self.legacy_header}"
        return headers

    def _wanted(self, headers: Any) -> str:
        for part in headers.get("openstack-api-version", "").split(","):
            service, _, version = part.strip().partition(" ")
            if service == self.service:
                return version.strip()
        return headers.get(self.legacy_header, "") if self.legacy_header else ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A service as OpenStack speaks of it. `statuses` are its own HTTP statuses for reasons of ours.

    `versioned` is the segment after which clients may name their project, as old catalogues had it; the
    token's project is what counts. `any_slash`: a path means the same with slashes at its end.
    """

    name: str
    mount: str
    routes: tuple[Route, ...]
    shape: Shape
    statuses: dict[str, int] = field(default_factory=dict)
    microversions: Microversions | None = None
    versioned: str = ""
    any_slash: bool = False


def administered(routes: Iterable[Route], *methods: str) -> tuple[Route, ...]:
    """The routes, those of these methods (all, when none is named) for administrators of the cloud too."""
    return tuple(
        replace(route, administers=True) if not methods or route.method in methods else route
        for route in routes
    )


def text(version: Version) -> str:
    """`2.1`."""
    return f"{version[0]}.{version[1]}"
