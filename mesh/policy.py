"""The operator's policy: a TOML file that overrides, by permission, whom the contracts let in.

    roles = ["operator"]                  # roles of your own that the rules below name

    ["compute.servers.create"]
    role = "manager"                      # the least default role

    ["compute.hosts.list"]
    roles = ["admin", "operator"]         # or any of these; [] is nobody

    ["compute.flavors.list"]
    scopes = ["project"]                  # fewer than the contract takes, never others

It is checked whole when a process starts, and again whenever the file changes; a file that became wrong is
logged, and the rules from before stay. It can neither open what is for services and hosts alone nor close
what is public (login, keys), and scopes only get fewer: the code behind an RPC is written for those of its
contract.
"""

import asyncio
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf import descriptor_pb2

import weft.options.v1.access_pb2
from mesh.roles import ROLES, SCOPES, at_least
from mesh.settings import SettingsError
from weft.options.v1 import access_pb2
from weft.options.v1.access_pb2 import Access

EVERY = 1.0  # seconds between looks at the file
_DESCRIPTORS = Path(weft.options.v1.access_pb2.__file__).parents[3] / "weft.binpb"
_log = logging.getLogger(__name__)


class PolicyError(SettingsError):
    """The policy is wrong; the message is one sentence that names the file and the rule."""


@dataclass(frozen=True, slots=True)
class Override:
    """What holds for one permission instead of the contract's; None leaves the contract's.

    `roles` are those of which the caller needs one.
    """

    roles: frozenset[str] | None = None
    scopes: frozenset[str] | None = None


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str | None = None
    roles: list[str] | None = None
    scopes: list[str] | None = None


class Policy:
    """The rules in force. `overrides` is replaced as a whole when the file changes."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen = _stamp(path) if path else None
        self.overrides: Mapping[str, Override] = read(path) if path else {}

    async def follow(self) -> None:
        """Keep to the file for as long as the process lives."""
        while self._path is not None:
            await asyncio.sleep(EVERY)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Take the file in again if it changed; keep what was if it is wrong now."""
        assert self._path is not None
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self.overrides = read(self._path)
        except PolicyError as error:
            _log.error("the policy stays as it was: %s", error)
            return
        _log.info("the policy was read again: %d rules", len(self.overrides))


def read(path: Path) -> dict[str, Override]:
    """The overrides by permission. Raises PolicyError on the first thing that is wrong."""
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise PolicyError(f"{path.name}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path.name}: is not TOML: {error}") from error
    own = tables.pop("roles", [])
    if not isinstance(own, list) or not all(isinstance(role, str) and role for role in own):
        raise PolicyError(f"{path.name}: roles: expected a list of names")
    known = frozenset(ROLES) | frozenset(own)
    return {name: _override(f"{path.name}: {name}", name, table, known) for name, table in tables.items()}


def _override(where: str, permission: str, table: Any, known: frozenset[str]) -> Override:
    rules = permissions().get(permission)
    if rules is None:
        raise PolicyError(f"{where}: no contract has this permission")
    if any(rule.audience != access_pb2.AUDIENCE_USER for rule in rules):
        raise PolicyError(f"{where}: is not for holders of tokens, so no policy can change who may")
    try:
        written = msgspec.convert(table, _Written)
    except msgspec.ValidationError as error:
        raise PolicyError(f"{where}: {str(error).replace('`', '')}") from error
    return Override(_roles(where, written, known), _scopes(where, written, rules))


def _roles(where: str, written: _Written, known: frozenset[str]) -> frozenset[str] | None:
    if written.role is not None and written.roles is not None:
        raise PolicyError(f"{where}: has both role and roles: give one")
    if written.role is not None:
        if written.role not in ROLES:
            raise PolicyError(f"{where}: role {written.role} is none of {', '.join(ROLES)}")
        return at_least(ROLES.index(written.role) + 1)
    if written.roles is None:
        return None
    if unknown := sorted(set(written.roles) - known):
        raise PolicyError(f"{where}: there is no role {unknown[0]} (name your own in roles, on top)")
    return frozenset(written.roles)


def _scopes(where: str, written: _Written, rules: tuple[Access, ...]) -> frozenset[str] | None:
    if written.scopes is None:
        return None
    taken = frozenset.intersection(*(SCOPES[rule.scope] for rule in rules))
    if wider := sorted(set(written.scopes) - taken):
        raise PolicyError(f"{where}: scope {wider[0]} is none of the contract's: {', '.join(sorted(taken))}")
    return frozenset(written.scopes)


@cache
def permissions() -> dict[str, tuple[Access, ...]]:
    """The access rules of all contracts, by permission."""
    files = descriptor_pb2.FileDescriptorSet.FromString(_DESCRIPTORS.read_bytes()).file
    found: dict[str, tuple[Access, ...]] = {}
    for file in files:
        for method in (method for service in file.service for method in service.method):
            if method.options.HasExtension(access_pb2.access):
                rule = method.options.Extensions[access_pb2.access]
                found[rule.permission] = (*found.get(rule.permission, ()), rule)
    return found


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
