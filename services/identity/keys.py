"""The keys that tokens are signed with: files that only identity reads, several valid at a time.

A key signs from its not_before on for 30 days, is published a day before that, and is trusted until the last
token that it may have signed is over: rotation logs nobody out. Replicas share the directory.
"""

import os
import secrets
import stat
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mesh import clock
from mesh.settings import SettingsError
from services.identity.model import LONGEST_TOKEN

SIGNING = timedelta(days=30)
PUBLISHED_AHEAD = timedelta(days=1)


class _File(msgspec.Struct, frozen=True):
    kid: str
    private: bytes
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """One signing key; tokens signed with it hold until `not_after`."""

    kid: str
    private: Ed25519PrivateKey
    not_before: datetime
    not_after: datetime

    @property
    def public(self) -> Ed25519PublicKey:
        """What tokens are checked with."""
        return self.private.public_key()

    @property
    def public_bytes(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self.public.public_bytes_raw()


class KeyRing:
    """The keys in one directory. Blocking: it reads and writes files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.renew()

    def renew(self) -> None:
        """Read what others wrote, make the next key when it is time, and forget what is over."""
        with self._lock:
            self._read()
            ahead = clock.now() + PUBLISHED_AHEAD
            newest = max((key.not_before for key in self._keys.values()), default=None)
            if newest is None or newest + SIGNING < ahead:
                begin = clock.now() if newest is None else max(newest + SIGNING, clock.now())
                self._make(begin)
                self._read()

    def all(self) -> list[Key]:
        """Every key that tokens are or will be signed with, newest first."""
        now = clock.now()
        keys = [key for key in self._keys.values() if key.not_after > now]
        return sorted(keys, key=lambda key: (key.not_before, key.kid), reverse=True)

    def signing(self) -> Key:
        """The key to sign with now."""
        now = clock.now()
        return next(key for key in self.all() if key.not_before <= now)

    def get(self, kid: str) -> Key | None:
        """The key of that id while it is trusted."""
        key = self._keys.get(kid)
        return key if key is not None and key.not_after > clock.now() else None

    def _read(self) -> None:
        found = {}
        for path in self._directory.glob("*.key"):
            if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise SettingsError(f"{path}: others may read this signing key: chmod 600 it, then rotate it")
            key = _key(msgspec.msgpack.decode(path.read_bytes(), type=_File))
            if key.not_after < clock.now():
                path.unlink(missing_ok=True)
            else:
                found[key.kid] = key
        self._keys = found

    def _make(self, begin: datetime) -> None:
        kid = secrets.token_hex(8)
        private = Ed25519PrivateKey.generate().private_bytes_raw()
        file = _File(kid, private, begin, begin + SIGNING + LONGEST_TOKEN)
        unfinished = self._directory / f"{kid}.new"
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(msgspec.msgpack.encode(file))
            out.flush()
            os.fsync(out.fileno())
        unfinished.rename(self._directory / f"{kid}.key")


def _key(file: _File) -> Key:
    return Key(file.kid, Ed25519PrivateKey.from_private_bytes(file.private), file.not_before, file.not_after)
